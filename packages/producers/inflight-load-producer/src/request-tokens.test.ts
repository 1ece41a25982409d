import type { PrefixMatch } from "@pointsman/core";
import fc from "fast-check";
import { expect, test } from "vitest";
import { estimatedOutputTokens, uncachedTokens } from "./request-tokens.ts";

function matchOf(matched: number, totalBlocks: number, blockSizeTokens: number): PrefixMatch {
  const table = Int32Array.of(matched);
  return { totalBlocks, blockSizeTokens, matchedBlocks: table, cachedBlocks: table };
}

// Source: spec scheduling-plugins F4.
test.each([
  { name: "without a match, all tokens", tokens: 1000, match: undefined, uncached: 1000 },
  { name: "without a block size, all tokens", tokens: 1000, match: matchOf(3, 4, 0), uncached: 1000 },
  { name: "blocks that match are taken off", tokens: 256, match: matchOf(3, 4, 64), uncached: 64 },
  { name: "a prompt that is held costs nothing", tokens: 256, match: matchOf(4, 4, 64), uncached: 0 },
  { name: "tokens beyond the blocks stay", tokens: 1000, match: matchOf(4, 4, 64), uncached: 744 },
  { name: "a partial last block counts whole", tokens: 100, match: matchOf(1, 2, 64), uncached: 64 },
  { name: "more matched than there is costs nothing", tokens: 256, match: matchOf(9, 4, 64), uncached: 0 },
  { name: "less than nothing matched is nothing", tokens: 256, match: matchOf(-2, 4, 64), uncached: 256 },
  { name: "no tokens, no blocks", tokens: 0, match: matchOf(0, 0, 64), uncached: 0 },
  { name: "tokens that are no number count as none", tokens: Number.NaN, match: undefined, uncached: 0 },
])("$name", ({ tokens, match, uncached }) => {
  expect(uncachedTokens(tokens, match, 0)).toBe(uncached);
});

test("a slot beyond the table is unknown: all tokens", () => {
  expect(uncachedTokens(256, matchOf(4, 4, 64), 1)).toBe(256);
});

const on = { addEstimatedOutputTokens: true, outputRatio: 1.5 };

test.each([
  { name: "off: none", tokens: 100, limit: undefined, params: { ...on, addEstimatedOutputTokens: false }, output: 0 },
  { name: "the prompt times the ratio", tokens: 100, limit: undefined, params: on, output: 150 },
  { name: "rounded, half up", tokens: 3, limit: undefined, params: on, output: 5 },
  { name: "at most what the client allows", tokens: 100, limit: 40, params: on, output: 40 },
  { name: "a client's limit above the estimate changes nothing", tokens: 100, limit: 4000, params: on, output: 150 },
  {
    name: "at most what the operator says",
    tokens: 100,
    limit: 140,
    params: { ...on, maxEstimatedOutputTokens: 120 },
    output: 120,
  },
  {
    name: "an operator's limit of 0",
    tokens: 100,
    limit: undefined,
    params: { ...on, maxEstimatedOutputTokens: 0 },
    output: 0,
  },
  { name: "a limit below 0 counts as 0", tokens: 100, limit: -5, params: on, output: 0 },
])("answer estimate, $name", ({ tokens, limit, params, output }) => {
  expect(estimatedOutputTokens(tokens, limit, params)).toBe(output);
});

test("whatever numbers come in, tokens are whole, not negative and small enough to add exactly", () => {
  const numbers = fc.oneof(fc.integer(), fc.double());
  fc.assert(
    fc.property(numbers, fc.integer(), numbers, numbers, numbers, (tokens, matched, total, block, limit) => {
      for (const result of [
        uncachedTokens(tokens, matchOf(matched, total, block), 0),
        estimatedOutputTokens(tokens, limit, on),
      ]) {
        expect(Number.isInteger(result) && result >= 0 && result <= 2 ** 40).toBe(true);
      }
    }),
  );
});

test("a longer match never costs more", () => {
  fc.assert(
    fc.property(fc.nat(1000), fc.nat(20), fc.nat(20), fc.integer({ min: 1, max: 100 }), (tokens, a, b, block) => {
      const [less, more] = [Math.min(a, b), Math.max(a, b)];
      const total = Math.ceil(tokens / block);
      expect(uncachedTokens(tokens, matchOf(more, total, block), 0)).toBeLessThanOrEqual(
        uncachedTokens(tokens, matchOf(less, total, block), 0),
      );
    }),
  );
});
