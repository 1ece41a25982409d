import { PREFIX_MATCH, type PrefixMatch, silentLogger, TOKENIZED_PROMPT, type TokenizedPrompt } from "@pointsman/core";
import {
  buildEndpoint,
  buildPlugin,
  buildRequest,
  deciderContract,
  pluginContract,
  type RequestOptions,
} from "@pointsman/testkit";
import fc from "fast-check";
import { expect, test } from "vitest";
import prefixBasedPdDecider from "./index.ts";

const tokensOf = (totalTokens: number): TokenizedPrompt => ({ prompts: [], totalTokens, estimated: true });

/** `cachedBlocks` by slot; matched blocks are other numbers, which must not count. */
function matchOf(cachedBlocks: readonly number[], blockSizeTokens = 64): PrefixMatch {
  return {
    totalBlocks: 1000,
    blockSizeTokens,
    matchedBlocks: new Int32Array(cachedBlocks.length).fill(999),
    cachedBlocks: Int32Array.from(cachedBlocks),
  };
}

function asking(totalTokens: number | undefined, match: PrefixMatch | undefined, producer?: string): RequestOptions {
  return {
    attributes: [
      [TOKENIZED_PROMPT.from(), totalTokens === undefined ? undefined : tokensOf(totalTokens)],
      [PREFIX_MATCH.from(producer), match],
    ],
  };
}

function decide(params: unknown, request: RequestOptions, slot: number | undefined = 0): boolean {
  const { instance } = buildPlugin(prefixBasedPdDecider, { params });
  return instance.disaggregate!(buildRequest(request), slot === undefined ? undefined : buildEndpoint(slot));
}

pluginContract(prefixBasedPdDecider, { testFile: import.meta.url, params: { nonCachedTokens: 256 } });
pluginContract(prefixBasedPdDecider, { testFile: import.meta.url });
deciderContract(prefixBasedPdDecider, {
  params: { nonCachedTokens: 256, promptTokens: 300 },
  request: () =>
    fc
      .tuple(fc.option(fc.nat(2000), { nil: undefined }), fc.option(fc.array(fc.nat(20)), { nil: undefined }))
      .map(([tokens, blocks]) => asking(tokens, blocks && matchOf(blocks))),
});

// Source: spec disaggregation 1.1 and scheduling-plugins D5.
test.each([
  {
    name: "exactly the threshold is not cached: yes",
    params: { nonCachedTokens: 256 },
    tokens: 384,
    blocks: 2,
    yes: true,
  },
  { name: "one token less: no", params: { nonCachedTokens: 257 }, tokens: 384, blocks: 2, yes: false },
  { name: "nothing is cached: yes", params: { nonCachedTokens: 256 }, tokens: 256, blocks: 0, yes: true },
  { name: "a prompt below the threshold: no", params: { nonCachedTokens: 256 }, tokens: 255, blocks: 0, yes: false },
  { name: "the last block counts whole: no", params: { nonCachedTokens: 1 }, tokens: 65, blocks: 2, yes: false },
  {
    name: "a prompt as long as promptTokens: yes",
    params: { nonCachedTokens: 1, promptTokens: 100 },
    tokens: 100,
    blocks: 1,
    yes: true,
  },
  {
    name: "a prompt shorter than promptTokens: no",
    params: { nonCachedTokens: 1, promptTokens: 101 },
    tokens: 100,
    blocks: 1,
    yes: false,
  },
  { name: "a threshold of 0: no", params: { nonCachedTokens: 0 }, tokens: 9999, blocks: 0, yes: false },
  { name: "no parameters: no", params: {}, tokens: 9999, blocks: 0, yes: false },
])("$name", ({ params, tokens, blocks, yes }) => {
  expect(decide(params, asking(tokens, matchOf([blocks])))).toBe(yes);
});

const threshold = { nonCachedTokens: 100 };

test("before an endpoint is chosen: no", () => {
  expect(decide(threshold, asking(1000, matchOf([0])), 0)).toBe(true);
  const { instance } = buildPlugin(prefixBasedPdDecider, { params: threshold });
  expect(instance.disaggregate!(buildRequest(asking(1000, matchOf([0]))), undefined)).toBe(false);
});

test("unknown tokens, an unknown match and an endpoint beyond the table: no", () => {
  expect(decide(threshold, asking(undefined, matchOf([0])))).toBe(false);
  expect(decide(threshold, asking(1000, undefined))).toBe(false);
  expect(decide(threshold, asking(1000, matchOf([0])), 1)).toBe(false);
});

test("what counts is what the chosen endpoint holds", () => {
  const request = asking(1000, matchOf([15, 0]));
  expect(decide(threshold, request, 0)).toBe(false);
  expect(decide(threshold, request, 1)).toBe(true);
});

test("the matches are those of the producer that is named", () => {
  const params = { nonCachedTokens: 100, prefixMatchInfoProducerName: "precise" };
  expect(decide(params, asking(1000, matchOf([0]), "precise"))).toBe(true);
  expect(decide(params, asking(1000, matchOf([0])))).toBe(false);
  expect(decide(threshold, asking(1000, matchOf([0]), "precise"))).toBe(false);
});

test("data is needed only with a threshold, which a warning tells", () => {
  const outcome = prefixBasedPdDecider.params!["~standard"].validate({});
  if (outcome instanceof Promise || outcome.issues !== undefined) throw new Error("the defaults are refused");
  expect(prefixBasedPdDecider.consumes!(outcome.value)).toEqual({});
  const warnings: string[] = [];
  const logger = { ...silentLogger, warn: (_fields: unknown, message: string) => warnings.push(message) };
  buildPlugin(prefixBasedPdDecider, { logger });
  expect(warnings).toEqual(["nonCachedTokens is 0: no request is disaggregated"]);
  buildPlugin(prefixBasedPdDecider, { logger, params: threshold });
  expect(warnings).toHaveLength(1);
});

test("property: more cached blocks never turn a no into a yes", () => {
  fc.assert(
    fc.property(fc.nat(4000), fc.nat(40), fc.nat(40), fc.nat(500), (tokens, blocks, more, nonCachedTokens) => {
      const params = { nonCachedTokens };
      const fewer = decide(params, asking(tokens, matchOf([blocks])));
      const rather = decide(params, asking(tokens, matchOf([blocks + more])));
      if (rather) expect(fewer).toBe(true);
    }),
  );
});

test.each([
  { params: { nonCachedTokens: -1 }, problem: "nonCachedTokens" },
  { params: { promptTokens: -1 }, problem: "promptTokens" },
  { params: { nonCachedTokens: 1.5 }, problem: "nonCachedTokens" },
  { params: { threshold: 5 }, problem: "threshold" },
])("$params is refused", ({ params, problem }) => {
  expect(() => buildPlugin(prefixBasedPdDecider, { params })).toThrow(problem);
});
