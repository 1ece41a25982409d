import type { MultiModalFeature } from "@pointsman/core";
import { ProtoFields, wireType } from "@pointsman/core/grpc-frame";
import { modalities, multimodalInputs, placeholderRange } from "./vllm-fields.ts";

/** Items of one request that are accepted. */
export const maxFeatures = 16_384;

const decoder = new TextDecoder();

/** Counts the media items of a request. Missing values: undefined when one of the messages is malformed. */
export function countFeatures(batches: readonly Uint8Array[]): number | undefined {
  let count = 0;
  for (const batch of batches) {
    const fields = new ProtoFields(batch);
    while (fields.next()) {
      if (!fields.is(multimodalInputs.placeholders, wireType.bytes)) continue;
      count++;
      const range = new ProtoFields(fields.bytes());
      while (range.next());
      if (range.problem !== undefined) return undefined;
    }
    if (fields.problem !== undefined) return undefined;
  }
  return count;
}

/**
 * Gives the media items in the order of their places: where their placeholder tokens lie, and their content's hash.
 * Missing values: the hash is empty where the client sent none. The messages are ones that {@link countFeatures} has
 * counted.
 */
export function readFeatures(batches: readonly Uint8Array[]): readonly MultiModalFeature[] {
  const features = batches.flatMap((batch) => {
    const ranges: Uint8Array[] = [];
    const hashes: Uint8Array[] = [];
    let modality = modalities[0]!;
    const fields = new ProtoFields(batch);
    while (fields.next()) {
      if (fields.is(multimodalInputs.placeholders, wireType.bytes)) ranges.push(fields.bytes());
      else if (fields.is(multimodalInputs.hashes, wireType.bytes)) {
        if (hashes.length < maxFeatures) hashes.push(fields.bytes());
      } else if (fields.is(multimodalInputs.modality, wireType.varint)) {
        modality = modalities[fields.uint32()] ?? "unknown";
      }
    }
    return ranges.map((range, i) => {
      const hash = hashes[i];
      return { modality, hash: hash === undefined ? "" : decoder.decode(hash), ...readRange(range) };
    });
  });
  return features.sort((a, b) => a.offsetTokens - b.offsetTokens);
}

function readRange(message: Uint8Array): { readonly offsetTokens: number; readonly lengthTokens: number } {
  const fields = new ProtoFields(message);
  let offsetTokens = 0;
  let lengthTokens = 0;
  while (fields.next()) {
    if (fields.is(placeholderRange.offset, wireType.varint)) offsetTokens = fields.uint32();
    else if (fields.is(placeholderRange.length, wireType.varint)) lengthTokens = fields.uint32();
  }
  return { offsetTokens, lengthTokens };
}
