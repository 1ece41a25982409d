import { inputAt, stepBytes, xxh64Instance } from "./xxh64-instance.ts";

/** A 64-bit hash as two unsigned halves of 32 bits. */
export interface Xxh64Hash {
  readonly low: number;
  readonly high: number;
}

/**
 * Hashes bytes with XXH64, seed 0.
 *
 * Never throws. Cost: one copy of the bytes, 64 KiB at a time; the first hash of the process also compiles the module
 * and gives it 512 KiB of memory.
 */
export function xxh64(content: Uint8Array): Xxh64Hash {
  const { module, bytes, words } = xxh64Instance();
  let at = 0;
  module.reset();
  for (; at + stepBytes < content.length; at += stepBytes) {
    bytes.set(content.subarray(at, at + stepBytes), inputAt);
    module.update(inputAt, stepBytes);
  }
  bytes.set(content.subarray(at), inputAt);
  module.finish(inputAt, content.length - at);
  return { low: words[0]!, high: words[1]! };
}

/** Writes a hash in lower-case hexadecimal, without leading zeros. */
export function xxh64Hex({ low, high }: Xxh64Hash): string {
  return high === 0 ? low.toString(16) : high.toString(16) + low.toString(16).padStart(8, "0");
}
