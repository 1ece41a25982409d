import type { FuzzRandom } from "../fuzz-random.ts";

/** Pieces that texts of many formats are made of, put together at random. */
export function textOf(random: FuzzRandom, pieces: readonly string[], most: number): Buffer {
  return Buffer.from(random.list(most, () => random.pick(pieces)).join(""));
}

/** Some JSON value as text. */
export function jsonText(random: FuzzRandom, keys: readonly string[], depth: number = 0): string {
  switch (random.below(depth > 3 ? 4 : 6)) {
    case 0:
      return random.pick(["null", "true", "false", "0", "-1", "7", "1e400", "12345678901234567890", "0.5", '"12"']);
    case 1:
    case 2:
      return JSON.stringify(random.pick(["", "text", "Qwen/Qwen3-8B", "a\nb", "é😀", "\u0000", '"', "x".repeat(300)]));
    case 3:
      return random.pick(['"\\ud800"', '"\\u0041\\/"', "[]", "{}", "[1,2,3]", '"\\u0000"']);
    case 4:
      return `[${random.list(4, () => jsonText(random, keys, depth + 1)).join(",")}]`;
    default:
      return `{${random.list(6, () => `${JSON.stringify(random.pick(keys))}:${jsonText(random, keys, depth + 1)}`).join(", ")}}`;
  }
}
