import type { FuzzRandom } from "./fuzz-random.ts";

/** Something that reads bytes from outside, and the rules that hold for every input. */
export interface FuzzTarget {
  /** One line: what is read, and the rules. */
  readonly summary: string;
  /** A good input, or nearly. Mutations start from it. */
  sample(random: FuzzRandom): Uint8Array;
  /**
   * Throws, or rejects, when a rule is broken. Everything that is chosen, such as where the input is cut, is chosen by the
   * input's bytes, so that the same input always does the same.
   */
  check(input: Uint8Array): void | Promise<void>;
  /** Longest input that mutations make. Bytes; 16,384 when absent. */
  readonly maxInputBytes?: number;
  /** Ends what `check` has started. */
  stop?(): void;
}

/** Cuts bytes into pieces, each in memory of its own. */
export function cutBytes(bytes: Uint8Array, random: FuzzRandom): Buffer[] {
  if (bytes.length <= 300 && random.oneIn(4)) return Array.from(bytes, (byte) => Buffer.of(byte));
  const places = random.list(8, () => random.below(bytes.length + 1)).sort((a, b) => a - b);
  return [...places, bytes.length].map((end, i) => Buffer.from(bytes.subarray(places[i - 1] ?? 0, end)));
}
