import { PREFIX_MATCH, type PrefixMatch, slotTableLength } from "@pointsman/core";
import {
  buildEndpoint,
  buildPlugin,
  buildRequest,
  monotoneIn,
  pluginContract,
  type RequestOptions,
  scorerContract,
} from "@pointsman/testkit";
import fc from "fast-check";
import { expect, test } from "vitest";
import prefixCacheScorer from "./index.ts";
import { scoreMatch } from "./prefix-cache-scorer.ts";

const share = { matchLengthWeight: 0, matchLengthScaleTokens: 8192 };
const both = { matchLengthWeight: 0.5, matchLengthScaleTokens: 8192 };

function matchOf(matchedBlocks: readonly number[], totalBlocks: number, blockSizeTokens = 64): PrefixMatch {
  const table = Int32Array.from(matchedBlocks);
  return { totalBlocks, blockSizeTokens, matchedBlocks: table, cachedBlocks: table };
}

const withMatch = (match: PrefixMatch | undefined): RequestOptions => ({ attributes: [[PREFIX_MATCH.from(), match]] });

const request = (endpoints: Parameters<typeof slotTableLength>[0]) =>
  fc.oneof(
    { weight: 1, arbitrary: fc.constantFrom<RequestOptions>({}, withMatch(undefined)) },
    {
      weight: 6,
      arbitrary: fc
        .nat(100)
        .chain((total) =>
          fc
            .array(fc.integer({ min: -2, max: total + 2 }), { minLength: 0, maxLength: slotTableLength(endpoints) })
            .map((blocks) => withMatch(matchOf(blocks, total))),
        ),
    },
  );

pluginContract(prefixCacheScorer, { testFile: import.meta.url });
for (const params of [{}, { matchLengthWeight: 0.7, matchLengthScaleTokens: 1000 }]) {
  scorerContract(prefixCacheScorer, { params, request });
  monotoneIn(
    prefixCacheScorer,
    {
      name: "match",
      request: (endpoints, index) =>
        fc.tuple(fc.nat(50), fc.nat(50), fc.nat(50)).map(([a, b, rest]) => {
          const withBlocks = (blocks: number): RequestOptions => {
            const table = new Array<number>(slotTableLength(endpoints)).fill(rest);
            table[endpoints[index]!.slot] = blocks;
            return withMatch(matchOf(table, 50));
          };
          return [withBlocks(Math.min(a, b)), withBlocks(Math.max(a, b))];
        }),
    },
    { params },
  );
}

// Source: spec scheduling-plugins, golden values of prefix-cache-scorer.
test.each([
  { name: "3 of 4 blocks", matched: 3, total: 4, params: share, score: 0.75 },
  { name: "64 of 128 blocks with half the weight on length", matched: 64, total: 128, params: both, score: 0.375 },
])("$name score $score", ({ matched, total, params, score }) => {
  expect(scoreMatch(matched, total, 64, params)).toBe(score);
});

test.each([
  { name: "nothing matched: 0", matched: 0, total: 4, block: 64, params: both, score: 0 },
  { name: "all of a long prompt: 1", matched: 200, total: 200, block: 64, params: both, score: 1 },
  { name: "all of a short prompt counts its length", matched: 64, total: 64, block: 64, params: both, score: 0.625 },
  { name: "no blocks: 0", matched: 0, total: 0, block: 64, params: both, score: 0 },
  { name: "more matched than there are blocks: 1", matched: 9, total: 4, block: 64, params: share, score: 1 },
  { name: "less than nothing: 0", matched: -1, total: 4, block: 64, params: share, score: 0 },
  { name: "block size unknown: no length", matched: 4, total: 4, block: 0, params: both, score: 0.5 },
])("$name", ({ matched, total, block, params, score }) => {
  expect(scoreMatch(matched, total, block, params)).toBe(score);
});

function scores(match: PrefixMatch | undefined, params: unknown = {}, producer?: string): number[] {
  const { instance } = buildPlugin(prefixCacheScorer, { params });
  const out = new Float64Array(3);
  instance.score!(
    buildRequest({ attributes: [[PREFIX_MATCH.from(producer), match]] }),
    [buildEndpoint(2), buildEndpoint(0), buildEndpoint(5)],
    out,
  );
  return [...out];
}

test("each endpoint is scored by its slot; one beyond the table has nothing", () => {
  expect(scores(matchOf([1, 0, 4], 4))).toEqual([1, 0.25, 0]);
});

test("without a match every endpoint scores 0", () => {
  expect(scores(undefined)).toEqual([0, 0, 0]);
});

test("the matches are those of the producer that is named", () => {
  expect(scores(matchOf([1, 0, 4], 4), { prefixMatchInfoProducerName: "far" }, "far")).toEqual([1, 0.25, 0]);
  expect(scores(matchOf([1, 0, 4], 4), {}, "far")).toEqual([0, 0, 0]);
});

test.each([
  { params: { matchLengthWeight: 1.1 }, problem: "matchLengthWeight" },
  { params: { matchLengthWeight: -0.1 }, problem: "matchLengthWeight" },
  {
    params: { matchLengthWeight: 0.5, matchLengthScaleTokens: 0 },
    problem: "matchLengthScaleTokens: must be above 0 tokens when matchLengthWeight is above 0, not 0",
  },
  { params: { blockSize: 16 }, problem: "blockSize" },
])("$params is refused", ({ params, problem }) => {
  expect(() => buildPlugin(prefixCacheScorer, { params })).toThrow(problem);
});

test("a scale of 0 is accepted while length has no weight", () => {
  expect(scores(matchOf([1, 0, 4], 4), { matchLengthScaleTokens: 0 })).toEqual([1, 0.25, 0]);
});
