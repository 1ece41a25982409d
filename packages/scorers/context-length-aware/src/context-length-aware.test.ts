import { TOKENIZED_PROMPT } from "@pointsman/core";
import {
  buildEndpoint,
  buildPlugin,
  buildRequest,
  filterContract,
  monotoneIn,
  pluginContract,
  type RequestOptions,
  scorerContract,
} from "@pointsman/testkit";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { scoreRange } from "./context-length-aware.ts";
import contextLengthAware from "./index.ts";
import { parseLengthRange } from "./length-range.ts";

const label = "llm-d.ai/context-length-range";

const ofLength = (totalTokens: number): RequestOptions => ({
  attributes: [[TOKENIZED_PROMPT.from(), { prompts: [], totalTokens, estimated: true }]],
});
const ranges = fc.oneof(
  fc.tuple(fc.nat(3000), fc.nat(3000)).map(([min, width]) => `${min}-${min + width}`),
  fc.constantFrom("", "8-1", "many"),
);
const labels = fc.oneof(
  fc.constant({}),
  ranges.map((range) => ({ [label]: range })),
);
const request = () => fc.oneof(fc.constant<RequestOptions>({}), fc.nat(6000).map(ofLength));

pluginContract(contextLengthAware, { testFile: import.meta.url });
scorerContract(contextLengthAware, { labels, request });
for (const params of [{}, { enableFiltering: true }]) {
  describe(JSON.stringify(params), () => filterContract(contextLengthAware, { params, labels, request }));
}
monotoneIn(
  contextLengthAware,
  {
    name: "prompt that is nearer to the range",
    request: (endpoints, index) => {
      const range = parseLengthRange(endpoints[index]!.metadata.labels[label] ?? "");
      const lengths = fc.tuple(fc.nat(6000), fc.nat(6000)).map(([a, b]) => {
        if (range === undefined) return [a, a] as const;
        // Beyond the range on its far side, so that the nearer prompt is never below it.
        const [near, far] = [range.maxTokens + Math.min(a, b), range.maxTokens + Math.max(a, b)];
        return [far, near] as const;
      });
      return lengths.map(([worse, better]) => [ofLength(worse), ofLength(better)] as const);
    },
  },
  { labels },
);

// Source: spec scheduling-plugins, golden values of context-length-aware.
test.each([
  { tokens: 1000, range: "0-2048", score: 0.8142 },
  { tokens: 1000, range: "0-8192", score: 0.7537 },
  { tokens: 5000, range: "0-2048", score: 0.0759 },
  { tokens: 100, range: "2048-8192", score: 0.1018 },
  { tokens: 7, range: "7-7", score: 1 },
])("$tokens tokens, range $range: $score", ({ tokens, range, score }) => {
  expect(scoreRange(tokens, parseLengthRange(range)!)).toBeCloseTo(score, 4);
});

test("in range is above 0.3, out of range below, and both within 0 to 1", () => {
  fc.assert(
    fc.property(fc.nat(), fc.nat(), fc.nat(), (tokens, minTokens, width) => {
      const maxTokens = minTokens + width;
      const score = scoreRange(tokens, { minTokens, maxTokens });
      const inRange = tokens >= minTokens && tokens <= maxTokens;
      expect(score).toBeGreaterThan(inRange ? 0.3 : 0);
      expect(score).toBeLessThanOrEqual(inRange ? 1 : 0.3);
    }),
  );
});

const candidates = [{ [label]: "0-100" }, {}, { [label]: "many" }, { [label]: "100-200" }, { [label]: "101-200" }].map(
  (each, slot) => buildEndpoint(slot, { labels: each }),
);

function kept(params: unknown, options: RequestOptions): number[] {
  const { instance } = buildPlugin(contextLengthAware, { params });
  return instance.filter!(buildRequest(options), candidates).map(({ slot }) => slot);
}

function scores(options: RequestOptions): number[] {
  const { instance } = buildPlugin(contextLengthAware);
  const out = new Float64Array(candidates.length);
  instance.score!(buildRequest(options), candidates, out);
  return [...out];
}

test("filtering keeps endpoints without the label and those whose range holds the prompt, ends included", () => {
  expect(kept({ enableFiltering: true }, ofLength(100))).toEqual([0, 1, 3]);
});

test("filtering may leave nothing", () => {
  const { instance } = buildPlugin(contextLengthAware, { params: { enableFiltering: true } });
  expect(instance.filter!(buildRequest(ofLength(500)), [candidates[0]!])).toEqual([]);
});

test("without filtering all stay", () => {
  expect(kept({}, ofLength(500))).toEqual([0, 1, 2, 3, 4]);
});

test("no label scores 0.5, a label that cannot be read 0", () => {
  expect(scores(ofLength(100)).slice(1, 3)).toEqual([0.5, 0]);
});

test("an empty prompt has 0 tokens", () => {
  expect(kept({ enableFiltering: true }, ofLength(0))).toEqual([0, 1]);
});

test("a prompt of unknown length keeps all and scores 0.5 everywhere", () => {
  expect(kept({ enableFiltering: true }, {})).toEqual([0, 1, 2, 3, 4]);
  expect(scores({})).toEqual([0.5, 0.5, 0.5, 0.5, 0.5]);
});

test("the label is configurable", () => {
  const { instance } = buildPlugin(contextLengthAware, { params: { label: "range" } });
  const out = new Float64Array(2);
  const endpoints = [buildEndpoint(0, { labels: { range: "7-7" } }), candidates[0]!];
  instance.score!(buildRequest(ofLength(7)), endpoints, out);
  expect([...out]).toEqual([1, 0.5]);
});

test.each([{ label: "" }, { label: 1 }, { enableFiltering: "yes" }, { labels: "x" }])("%j is refused", (params) => {
  expect(() => buildPlugin(contextLengthAware, { params })).toThrow(Object.keys(params)[0]);
});
