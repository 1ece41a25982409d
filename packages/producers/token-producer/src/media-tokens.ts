import { imageSize } from "./image-size.ts";
import type { ImageEstimateParams, Resolution, VideoEstimateParams } from "./params.ts";
import type { VideoHints } from "./video-hints.ts";

const bytesPerToken = 4;

/** Tokens of an image given by URL or inline; 1 at least. */
export function imageTokens(params: ImageEstimateParams, reference: Uint8Array): number {
  if (params.mode === "static") return params.static.staticToken;
  return areaTokens(imageSize(reference) ?? params.defaultResolution, params.dynamic.factor);
}

/** Tokens of a video; 1 at least. What `hints` tell counts before `params`. */
export function videoTokens(params: VideoEstimateParams, hints: VideoHints): number {
  const { tokensPerFrame, maxVideoTokens } = params;
  const perFrame =
    tokensPerFrame.mode === "static"
      ? tokensPerFrame.static.numTokensPerFrame
      : areaTokens(hints.resolution ?? params.defaultResolution, tokensPerFrame.dynamic.factor);
  const tokens = frameCount(params, hints) * perFrame;
  return Math.max(1, maxVideoTokens > 0 ? Math.min(tokens, maxVideoTokens) : tokens);
}

/** Tokens of audio: one for four bytes of what the request carries; 1 at least. */
export function audioTokens(reference: Uint8Array): number {
  return Math.max(1, Math.ceil(reference.length / bytesPerToken));
}

function frameCount({ frames, defaultDuration }: VideoEstimateParams, hints: VideoHints): number {
  const durationSeconds = hints.durationSeconds ?? defaultDuration;
  if (frames.mode === "strided") {
    const framesPerSecond = hints.framesPerSecond ?? frames.strided.defaultSourceFPS;
    const taken = Math.floor(Math.floor(durationSeconds * framesPerSecond) / frames.strided.frameStride);
    return clampFrames(taken, frames);
  }
  const taken = Math.floor(durationSeconds * frames.sampled.sampleFPS);
  return Math.floor(clampFrames(taken, frames) / frames.sampled.temporalPatchSize);
}

function clampFrames(count: number, { minFrames, maxFrames }: VideoEstimateParams["frames"]): number {
  const raised = Math.max(count, minFrames);
  return maxFrames > 0 ? Math.min(raised, maxFrames) : raised;
}

function areaTokens({ width, height }: Resolution, factor: number): number {
  return Math.max(1, Math.floor((width * height) / factor));
}
