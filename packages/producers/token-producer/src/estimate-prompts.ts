import { type MultiModalFeature, type PromptSegment, type PromptTokens, zeroedBytes } from "@pointsman/core";
import { xxh64, xxh64Hex } from "@pointsman/core/xxh64";

const bytesPerToken = 4;

/** Tokens that images, videos and audio of one request may take together; what comes after counts 1 token each. */
export const maxMediaTokens = 1_048_576;

/** A media segment with its place in the estimate. */
interface PlacedMedia {
  readonly segment: PromptSegment & { readonly kind: "media" };
  readonly offsetTokens: number;
  readonly lengthTokens: number;
}

/**
 * Lays the bytes of each prompt out as little-endian tokens of four bytes, padded with zeros.
 *
 * Media start at a whole token and stand as their content's hash (low 32 bits) repeated `mediaTokens(segment)` times.
 * All prompts share one piece of memory; text is copied once. Shape: one result for each prompt, without tokens where a
 * prompt is empty. Source: spec kvcache section 3.3 with vectors `estimateBackend`.
 */
export function estimatePrompts(
  prompts: readonly (readonly PromptSegment[])[],
  mediaTokens: (segment: PromptSegment & { readonly kind: "media" }) => number,
): readonly PromptTokens[] {
  const media: PlacedMedia[] = [];
  const starts: number[] = [];
  let mediaLeft = maxMediaTokens;
  let bytes = 0;
  for (const segments of prompts) {
    const start = bytes / bytesPerToken;
    starts.push(start);
    for (const segment of segments) {
      if (segment.kind === "text") {
        bytes += segment.bytes.length;
        continue;
      }
      const lengthTokens = Math.max(1, Math.min(mediaTokens(segment), mediaLeft));
      mediaLeft = Math.max(0, mediaLeft - lengthTokens);
      bytes = wholeTokens(bytes);
      media.push({ segment, offsetTokens: bytes / bytesPerToken - start, lengthTokens });
      bytes += lengthTokens * bytesPerToken;
    }
    bytes = wholeTokens(bytes);
  }

  const text = zeroedBytes(bytes);
  let placed = 0;
  return prompts.map((segments, i): PromptTokens => {
    const start = starts[i]!;
    const length = (starts[i + 1] ?? bytes / bytesPerToken) - start;
    const tokenIds = new Uint32Array(text.buffer, text.byteOffset + start * bytesPerToken, length);
    const features: MultiModalFeature[] = [];
    let at = start * bytesPerToken;
    for (const segment of segments) {
      if (segment.kind === "text") {
        text.set(segment.bytes, at);
        at += segment.bytes.length;
        continue;
      }
      const { offsetTokens, lengthTokens } = media[placed++]!;
      const hash = xxh64(segment.reference);
      tokenIds.fill(hash.low, offsetTokens, offsetTokens + lengthTokens);
      features.push({ modality: segment.modality, hash: xxh64Hex(hash), offsetTokens, lengthTokens });
      at = (start + offsetTokens + lengthTokens) * bytesPerToken;
    }
    return { tokenIds, features };
  });
}

function wholeTokens(bytes: number): number {
  return Math.ceil(bytes / bytesPerToken) * bytesPerToken;
}
