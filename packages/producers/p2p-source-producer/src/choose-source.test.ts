import type { Endpoint, PrefixMatch } from "@pointsman/core";
import { buildEndpoint } from "@pointsman/testkit";
import fc from "fast-check";
import { expect, test } from "vitest";
import { chooseSource } from "./choose-source.ts";
import { fnv1a32 } from "./fnv1a32.ts";

// Source: spec scheduling-plugins, golden values; spec vectors/block-hashes.json, primitives.fnv32a.
test.each([
  ["", 2_166_136_261],
  ["a", 3_826_002_220],
  ["10.0.0.1:8000", 1_207_617_965],
  ["req-1", 0xdb160f11],
])("FNV-1a of %j is %i", (text, expected) => {
  expect(fnv1a32(text)).toBe(expected);
});

test("FNV-1a takes the bytes of UTF-8", () => {
  const plain = (bytes: Iterable<number>): bigint => {
    let hash = 0x811c9dc5n;
    for (const byte of bytes) hash = ((hash ^ BigInt(byte)) * 0x01000193n) & 0xffff_ffffn;
    return hash;
  };
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (text) => {
      expect(BigInt(fnv1a32(text))).toBe(plain(Buffer.from(text)));
    }),
  );
});

const pool = (count: number): Endpoint[] => Array.from({ length: count }, (_, slot) => buildEndpoint(slot));

const matchOf = (cached: readonly number[], byTier?: Readonly<Record<string, readonly number[]>>): PrefixMatch => ({
  totalBlocks: 100,
  blockSizeTokens: 16,
  matchedBlocks: Int32Array.from(cached),
  cachedBlocks: Int32Array.from(cached),
  ...(byTier === undefined
    ? {}
    : { cachedBlocksByTier: new Map(Object.entries(byTier).map(([tier, blocks]) => [tier, Int32Array.from(blocks)])) }),
});

const nothingKnown = () => undefined;
const slotOf = (
  match: PrefixMatch,
  id: string = "req-1",
  waiting: (endpoint: Endpoint) => number | undefined = nothingKnown,
  endpoints: readonly Endpoint[] = pool(match.cachedBlocks.length),
): number | undefined => chooseSource(match, endpoints, id, waiting)?.endpoint.slot;

test("the endpoint that holds most is the source, with its tokens", () => {
  const endpoints = pool(3);
  expect(chooseSource(matchOf([1, 9, 3]), endpoints, "req-1", nothingKnown)).toEqual({
    endpoint: endpoints[1],
    tokens: 144,
  });
});

test("nobody that holds a block, no source", () => {
  expect(slotOf(matchOf([0, 0]))).toBeUndefined();
  expect(slotOf(matchOf([]))).toBeUndefined();
  expect(slotOf(matchOf([-1]))).toBeUndefined();
  expect(slotOf({ ...matchOf([5]), blockSizeTokens: 0 })).toBeUndefined();
  expect(slotOf(matchOf([5, 5], { gpu: [5, 5] }))).toBeUndefined();
});

test("where tiers are known, what the tier cpu holds counts", () => {
  expect(slotOf(matchOf([9, 2], { gpu: [9, 0], cpu: [0, 2] }))).toBe(1);
});

// req-1 lies at 0.855805 of the sum of weights.
test("the request's id chooses among those that hold most, up to one block less", () => {
  expect(slotOf(matchOf([8, 9, 9, 7]))).toBe(2);
  // One block less takes part and is the second of two; two blocks less does not.
  expect([slotOf(matchOf([9, 8])), slotOf(matchOf([9, 7]))]).toEqual([1, 0]);
  // The second of two gets 0.5 to 1.
  expect(slotOf(matchOf([9, 9]))).toBe(1);
  // Weights 1, 1/9, 1/9: the first ends at 0.818, the second at 0.909.
  const waiting = ({ slot }: Endpoint) => (slot === 0 ? 0 : 8);
  expect(slotOf(matchOf([9, 9, 9]), "req-1", waiting)).toBe(1);
  // Weights 1, 1/3: 0.75, 1.
  expect(slotOf(matchOf([9, 9]), "req-1", ({ slot }) => slot * 2)).toBe(1);
  // Weights 1, 1/7: 0.875, 1.
  expect(slotOf(matchOf([9, 9]), "req-1", ({ slot }) => slot * 6)).toBe(0);
});

test("a queue that is unknown counts like the longest known one", () => {
  // Known, weights would be 1 and 1/7; an empty second queue would win.
  expect(slotOf(matchOf([9, 9, 9]), "req-1", ({ slot }) => [0, undefined, 20][slot])).toBe(0);
  expect(slotOf(matchOf([9, 9, 9]), "req-1", ({ slot }) => [0, Number.NaN, 20][slot])).toBe(0);
});

test("the source is one that holds most up to a block, alike for the same id, and in proportion to its weight", () => {
  const counts = fc.array(fc.record({ blocks: fc.nat(4), waiting: fc.option(fc.nat(5), { nil: undefined }) }), {
    minLength: 1,
    maxLength: 6,
  });
  fc.assert(
    fc.property(counts, fc.string(), (given, id) => {
      const match = matchOf(given.map(({ blocks }) => blocks));
      const waiting = ({ slot }: Endpoint) => given[slot]?.waiting;
      const slot = slotOf(match, id, waiting);
      const most = Math.max(...given.map(({ blocks }) => blocks));
      if (most === 0) expect(slot).toBeUndefined();
      else expect(given[slot!]!.blocks).toBeGreaterThanOrEqual(Math.max(1, most - 1));
      expect(slotOf(match, id, waiting)).toBe(slot);
    }),
  );
  const picks = Array.from({ length: 4000 }, (_, i) => slotOf(matchOf([9, 9]), `id-${i}`, ({ slot }) => slot * 3));
  // Weights 1 and 1/4.
  expect(picks.filter((slot) => slot === 0).length / picks.length).toBeCloseTo(0.8, 1);
});
