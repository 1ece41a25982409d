import { ENCODER_MATCH, slotTableLength } from "@pointsman/core";
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
import mmEmbeddingsCacheScorer from "./index.ts";
import { scoreItems } from "./mm-embeddings-cache-scorer.ts";

function matchOf(matchedSize: readonly number[], requestSize: number, producer?: string): RequestOptions {
  return { attributes: [[ENCODER_MATCH.from(producer), { requestSize, matchedSize: Float64Array.from(matchedSize) }]] };
}

pluginContract(mmEmbeddingsCacheScorer, { testFile: import.meta.url });
scorerContract(mmEmbeddingsCacheScorer, {
  request: (endpoints) =>
    fc.oneof(
      { weight: 1, arbitrary: fc.constant<RequestOptions>({}) },
      {
        weight: 6,
        arbitrary: fc
          .tuple(fc.array(fc.double(), { maxLength: slotTableLength(endpoints) }), fc.oneof(fc.nat(9), fc.double()))
          .map(([matched, requestSize]) => matchOf(matched, requestSize)),
      },
    ),
});
monotoneIn(mmEmbeddingsCacheScorer, {
  name: "match",
  request: (endpoints, index) =>
    fc.tuple(fc.nat(9), fc.nat(9), fc.nat(9)).map(([a, b, rest]) => {
      const holding = (size: number) => {
        const table = new Array<number>(slotTableLength(endpoints)).fill(rest);
        return matchOf(table.with(endpoints[index]!.slot, size), 9);
      };
      return [holding(Math.min(a, b)), holding(Math.max(a, b))] as const;
    }),
});

// Source: spec scheduling-plugins C10.
test.each([
  { name: "all items", matched: 4, request: 4, score: 1 },
  { name: "some items", matched: 3, request: 4, score: 0.75 },
  { name: "no items", matched: 0, request: 4, score: 0 },
  { name: "a slot beyond the table", matched: undefined, request: 4, score: 0 },
  { name: "a request without items", matched: 0, request: 0, score: 0 },
  { name: "more than there is", matched: 9, request: 4, score: 1 },
  { name: "NaN", matched: Number.NaN, request: 4, score: 0 },
])("$name: $score", ({ matched, request, score }) => {
  expect(scoreItems(matched, request)).toBe(score);
});

function scores(options: RequestOptions, params: object = {}): readonly number[] {
  const out = new Float64Array(3).fill(0.7);
  const endpoints = [buildEndpoint(2), buildEndpoint(0), buildEndpoint(5)];
  buildPlugin(mmEmbeddingsCacheScorer, { params }).instance.score!(buildRequest(options), endpoints, out);
  return [...out];
}

test("each endpoint is scored by its slot", () => {
  expect(scores(matchOf([1, 0, 2], 2))).toEqual([1, 0.5, 0]);
});

test("a request without a match scores 0 everywhere", () => {
  expect(scores({})).toEqual([0, 0, 0]);
});

test("the matches are those of the producer that is named", () => {
  expect(scores(matchOf([1, 0, 2], 2, "far"), { producerName: "far" })).toEqual([1, 0.5, 0]);
  expect(scores(matchOf([1, 0, 2], 2, "far"))).toEqual([0, 0, 0]);
});

test("an unknown parameter is refused", () => {
  expect(() => buildPlugin(mmEmbeddingsCacheScorer, { params: { producer: "a" } })).toThrow("producer");
});
