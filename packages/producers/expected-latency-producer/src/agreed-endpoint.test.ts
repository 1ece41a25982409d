import { seededRandom } from "@pointsman/testkit";
import fc from "fast-check";
import { expect, test } from "vitest";
import { agreedEndpoint, idHash } from "./agreed-endpoint.ts";

const idsOf = (count: number): string[] => Array.from({ length: count }, (_, i) => `default/server-${i}`);
const hashesOf = (ids: readonly string[]): Uint32Array => Uint32Array.from(ids, idHash);

function prompts(count: number, seed: number): Uint32Array[] {
  const random = seededRandom(seed);
  return Array.from({ length: count }, () => Uint32Array.from({ length: 40 }, () => random() * 2 ** 32));
}

const agreed = (tokens: Uint32Array, ids: readonly string[], hashes: Uint32Array = hashesOf(ids)): string | undefined =>
  ids[agreedEndpoint(tokens, hashes)];

test("nobody is agreed on where there is nobody", () => {
  expect(agreedEndpoint(Uint32Array.of(1), new Uint32Array(0))).toBe(-1);
});

test("the order in which endpoints are known does not matter", () => {
  const tokens = fc.uint32Array({ maxLength: 50 });
  const shuffles = fc.shuffledSubarray(idsOf(12), { minLength: 12 });
  fc.assert(
    fc.property(tokens, shuffles, (prompt, shuffled) => {
      expect(agreed(prompt, shuffled)).toBe(agreed(prompt, idsOf(12)));
    }),
  );
});

test("prompts that are equal for 1024 tokens go to the same endpoint, whatever follows", () => {
  const [prefix] = [Uint32Array.from({ length: 1024 }, (_, i) => i * 2_654_435_761)];
  for (const ending of prompts(30, 4)) {
    expect(agreed(Uint32Array.of(...prefix, ...ending), idsOf(9))).toBe(agreed(prefix, idsOf(9)));
  }
});

test("an endpoint that goes moves the prefixes it had and no other", () => {
  const gone = "default/server-3";
  const left = idsOf(10).filter((id) => id !== gone);
  let moved = 0;
  for (const prompt of prompts(2000, 5)) {
    const before = agreed(prompt, idsOf(10));
    if (before === gone) moved++;
    else expect(agreed(prompt, left)).toBe(before);
  }
  expect(moved).toBeGreaterThan(100);
});

test.each([2, 10, 64])("%d endpoints get about equal shares of the prefixes", (count) => {
  const share = 6400 / count;
  const counts = new Map<string | undefined, number>();
  for (const prompt of prompts(6400, count)) {
    const id = agreed(prompt, idsOf(count));
    counts.set(id, (counts.get(id) ?? 0) + 1);
  }
  expect(counts.size).toBe(count);
  // Five standard deviations of drawing lots.
  for (const each of counts.values()) expect(Math.abs(each - share)).toBeLessThan(5 * Math.sqrt(share));
});

test("short prompts that count up are spread as well", () => {
  const seen = new Set(Array.from({ length: 200 }, (_, i) => agreed(Uint32Array.of(i), idsOf(8))));
  expect(seen.size).toBe(8);
});
