import type { Headers } from "@pointsman/core";
import type { Resolution } from "./params.ts";

/** What a request's headers tell about its videos. */
export interface VideoHints {
  readonly durationSeconds: number | undefined;
  readonly framesPerSecond: number | undefined;
  readonly resolution: Resolution | undefined;
}

const numberPattern = /^\d{0,15}\.?\d{0,15}$/;
const resolutionPattern = /^ {0,8}(\d{1,9}) {0,8}[xX] {0,8}(\d{1,9}) {0,8}$/;

/**
 * Reads `x-llm-d-video-duration-seconds`, `-fps` and `-resolution` (`WIDTHxHEIGHT`).
 * What is absent, malformed or not above 0 is `undefined`.
 */
export function videoHints(headers: Headers): VideoHints {
  return {
    durationSeconds: positive(headers.get("x-llm-d-video-duration-seconds")),
    framesPerSecond: positive(headers.get("x-llm-d-video-fps")),
    resolution: resolutionOf(headers.get("x-llm-d-video-resolution")),
  };
}

function positive(text: string | undefined): number | undefined {
  if (text === undefined || !numberPattern.test(text)) return undefined;
  const value = Number(text);
  return value > 0 ? value : undefined;
}

function resolutionOf(text: string | undefined): Resolution | undefined {
  const match = text === undefined ? null : resolutionPattern.exec(text);
  if (match === null) return undefined;
  const width = Number(match[1]);
  const height = Number(match[2]);
  return width > 0 && height > 0 ? { width, height } : undefined;
}
