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
import { describe, expect, test } from "vitest";
import multiclusterPrefixCacheScorer from "./index.ts";
import { scoreCluster } from "./multicluster-prefix-cache-scorer.ts";

function matchOf(matchedBlocks: readonly number[], totalBlocks: number, blockSizeTokens = 64): PrefixMatch {
  const table = Int32Array.from(matchedBlocks);
  return { totalBlocks, blockSizeTokens, matchedBlocks: table, cachedBlocks: table };
}

const withMatch = (match: PrefixMatch, producer?: string): RequestOptions => ({
  attributes: [[PREFIX_MATCH.from(producer), match]],
});

pluginContract(multiclusterPrefixCacheScorer, { testFile: import.meta.url });
for (const params of [{}, { matchLengthWeight: 0.7, matchLengthScaleTokens: 1000 }]) {
  describe(JSON.stringify(params), () => {
    scorerContract(multiclusterPrefixCacheScorer, {
      params,
      request: (endpoints) =>
        fc
          .tuple(fc.array(fc.integer({ min: -2, max: 60 }), { maxLength: slotTableLength(endpoints) }), fc.nat(50))
          .chain(([blocks, total]) => fc.constantFrom<RequestOptions>({}, withMatch(matchOf(blocks, total)))),
    });
    monotoneIn(
      multiclusterPrefixCacheScorer,
      {
        name: "match",
        request: (endpoints, index) =>
          fc.tuple(fc.nat(50), fc.nat(50), fc.nat(50)).map(([a, b, rest]) => {
            const table = new Array<number>(slotTableLength(endpoints)).fill(rest);
            const holding = (blocks: number) => withMatch(matchOf(table.with(endpoints[index]!.slot, blocks), 50));
            return [holding(Math.min(a, b)), holding(Math.max(a, b))] as const;
          }),
      },
      { params },
    );
  });
}

const share = { prefixMatchInfoProducerName: "", matchLengthWeight: 0, matchLengthScaleTokens: 8192 };
const both = { ...share, matchLengthWeight: 0.5 };

// Source: spec scheduling-plugins, golden values of prefix-cache-scorer.
test.each([
  { name: "3 of 4 blocks", matched: 3, total: 4, params: share, score: 0.75 },
  { name: "64 of 128 blocks with half the weight on length", matched: 64, total: 128, params: both, score: 0.375 },
  { name: "nothing", matched: 0, total: 4, params: both, score: 0 },
  { name: "a prompt without blocks", matched: 0, total: 0, params: both, score: 0 },
  { name: "more than there is", matched: 9, total: 4, params: share, score: 1 },
])("$name: $score", ({ matched, total, params, score }) => {
  expect(scoreCluster(matchOf([matched], total), 0, params)).toBe(score);
  expect(scoreCluster(matchOf([matched], total), 1, params)).toBe(0);
});

test("the matches are those of the producer that is named", () => {
  const scores = (params: object, producer?: string): readonly number[] => {
    const out = new Float64Array(2);
    const { instance } = buildPlugin(multiclusterPrefixCacheScorer, { params });
    const request = buildRequest(withMatch(matchOf([1, 4], 4), producer));
    instance.score!(request, [buildEndpoint(1), buildEndpoint(0)], out);
    return [...out];
  };
  expect(scores({})).toEqual([1, 0.25]);
  expect(scores({ prefixMatchInfoProducerName: "far" }, "far")).toEqual([1, 0.25]);
  expect(scores({}, "far")).toEqual([0, 0]);
});

test.each([
  { params: { matchLengthWeight: 1.1 }, problem: "matchLengthWeight: " },
  {
    params: { matchLengthWeight: 0.5, matchLengthScaleTokens: 0 },
    problem: "matchLengthScaleTokens: must be above 0 tokens when matchLengthWeight is above 0, not 0",
  },
])("$problem is the answer to $params", ({ params, problem }) => {
  expect(() => buildPlugin(multiclusterPrefixCacheScorer, { params })).toThrow(problem);
});
