import fc from "fast-check";
import { expect, test } from "vitest";
import { prefixHashes, prefixLengths, SharedPrefixes, SparedTokens } from "./shared-prefixes.ts";

const tokensOf = (length: number, from: number = 0): Uint32Array => Uint32Array.from({ length }, (_, i) => from + i);

test("prompts that begin alike have the same hashes as far as they do", () => {
  const one = prefixHashes(tokensOf(5000));
  const other = prefixHashes(Uint32Array.from([...tokensOf(3000), ...tokensOf(2000, 99_000)]));
  const common = prefixLengths.filter((length) => length <= 3000).length;
  expect(one).toHaveLength(prefixLengths.filter((length) => length <= 5000).length);
  expect(other.slice(0, common)).toEqual(one.slice(0, common));
  for (let i = common; i < one.length; i++) expect(other[i]).not.toBe(one[i]);
});

test("a prompt shorter than the shortest prefix has none, and one longer than the longest no more than there are", () => {
  expect(prefixHashes(tokensOf(prefixLengths[0]! - 1))).toEqual([]);
  expect(prefixHashes(tokensOf(100_000))).toHaveLength(prefixLengths.length);
});

test("requests count while they are on their way, less three deviations of their number, four times; then nothing is kept", () => {
  const prefixes = new SharedPrefixes();
  const hashes = prefixHashes(tokensOf(1000));
  expect(prefixes.coming(hashes[0]!)).toBe(0);
  prefixes.add(hashes);
  expect(prefixes.coming(hashes[0]!)).toBe(0);
  for (let i = 0; i < 99; i++) prefixes.add(hashes);
  expect(prefixes.coming(hashes[0]!)).toBe(4 * 70);
  expect(prefixes.coming(1)).toBe(0);
  for (let i = 0; i < 100; i++) prefixes.remove(hashes);
  prefixes.remove(hashes);
  expect(prefixes.coming(hashes[0]!)).toBe(0);
  expect(prefixes.size).toBe(0);
});

/** Tokens spared where so many are cached, with so many coming for each of the lengths, and these holders. */
function sparedOf(cachedTokens: number, coming: readonly number[], holders: readonly number[] = []): number {
  const spared = new SparedTokens();
  // What an earlier request left behind counts for nothing.
  spared.begin(prefixLengths.length);
  spared.held(32_768);
  spared.settle(() => 50);
  spared.begin(coming.length);
  for (const tokens of holders) spared.held(tokens);
  spared.settle((length) => coming[length]!);
  return spared.of(cachedTokens);
}

test("tokens that nobody else asks for are not spared, those that many ask for nearly all, cached ones not at all", () => {
  const count = prefixLengths.filter((length) => length <= 8192).length;
  const coming = (each: number): number[] => Array.from({ length: count }, () => each);
  expect(sparedOf(0, coming(0))).toBe(0);
  expect(sparedOf(0, coming(1))).toBe(4096);
  expect(sparedOf(0, coming(99))).toBeCloseTo(8192 * 0.99, 6);
  expect(sparedOf(8192, coming(99))).toBe(0);
  expect(sparedOf(5000, coming(99))).toBeCloseTo(3192 * 0.99, 6);
  expect(sparedOf(100, coming(1))).toBe(4046);
  expect(sparedOf(0, [])).toBe(0);
});

test("those who come are shared among the endpoints that hold as much", () => {
  const coming = prefixLengths.filter((length) => length <= 2048).map(() => 4);
  // Of 4 who come, 2 for each of two holders up to 1024 tokens, 4 beyond.
  expect(sparedOf(0, coming, [1100])).toBeCloseTo(1024 * (2 / 3) + 1024 * (4 / 5), 6);
  expect(sparedOf(0, coming, [40_000, 4000, 2048])).toBeCloseTo(2048 / 2, 6);
});

test("never more is spared than is lacking of the longest prefix", () => {
  const numbers = fc.array(fc.double({ min: 0, max: 1e6, noNaN: true }), { maxLength: prefixLengths.length });
  fc.assert(
    fc.property(fc.nat(50_000), numbers, fc.array(fc.nat(50_000)), (cached, coming, holders) => {
      const spared = sparedOf(cached, coming, holders);
      const longest = coming.length === 0 ? 0 : prefixLengths[coming.length - 1]!;
      expect(spared).toBeGreaterThanOrEqual(-1e-6);
      expect(spared).toBeLessThanOrEqual(Math.max(0, longest - cached) + 1e-6);
    }),
  );
});
