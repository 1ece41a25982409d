import { ACTIVE_MODELS, type AttributeKey, customMetric, WAITING_QUEUE_SIZE } from "@pointsman/core";
import {
  buildEndpoint,
  buildPlugin,
  buildRequest,
  endpointSignal,
  higherIsBetter,
  improvement,
  lowerIsBetter,
  monotoneIn,
  pluginContract,
  scorerContract,
} from "@pointsman/testkit";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { scoreLinear } from "./endpoint-attribute-scorer.ts";
import endpointAttributeScorer from "./index.ts";

const lower = { type: "linear_lower_is_better" };
const higher = { type: "linear_higher_is_better" };
const fixed = { normalization: { fixedRange: { min: 0, max: 10 } } };
const paramsOf = (algorithm: object) => ({ attributeKey: "WaitingQueueSize", algorithm });
const numbers = fc.double({ min: -20, max: 20, noNaN: true });
const signals = [endpointSignal(WAITING_QUEUE_SIZE, fc.oneof({ weight: 4, arbitrary: numbers }, fc.double()))];

pluginContract(endpointAttributeScorer, { testFile: import.meta.url, params: paramsOf(lower) });
for (const algorithm of [lower, higher, { ...lower, ...fixed }, { ...higher, ...fixed }]) {
  describe(JSON.stringify(algorithm), () => {
    const params = paramsOf(algorithm);
    const better = algorithm.type === lower.type ? lowerIsBetter(numbers) : higherIsBetter(numbers);
    scorerContract(endpointAttributeScorer, { params, signals });
    monotoneIn(endpointAttributeScorer, improvement(WAITING_QUEUE_SIZE, better), { params, signals });
  });
}

const range = { min: 10, max: 20 };

// Source: spec scheduling-plugins C7.
test.each([
  { name: "the range of the known numbers, higher is better", numbers: [2, 4, 10], scores: [0, 0.25, 1] },
  { name: "the same, lower is better", numbers: [2, 4, 10], lower: true, scores: [1, 0.75, 0] },
  { name: "all equal: 1", numbers: [3, 3], scores: [1, 1] },
  { name: "all equal and lower is better: 1", numbers: [3, 3], lower: true, scores: [1, 1] },
  { name: "an unknown number: 0, whatever is better", numbers: [1, Number.NaN, 2], lower: true, scores: [1, 0, 0] },
  { name: "nothing known: 0 for all", numbers: [Number.NaN, Number.NaN], scores: [0, 0] },
  { name: "a fixed range", numbers: [12.5, 15, 20], range, scores: [0.25, 0.5, 1] },
  { name: "numbers outside a fixed range", numbers: [-5, 30], range, scores: [0, 1] },
  { name: "equal numbers in a fixed range", numbers: [15, 15], range, lower: true, scores: [0.5, 0.5] },
  { name: "ends too far apart to subtract", numbers: [-1.7e308, 0, 1.7e308], scores: [0, 0.5, 1] },
  { name: "unknown in a fixed range, lower is better", numbers: [Number.NaN], range, lower: true, scores: [0] },
])("$name", ({ numbers, range, lower = false, scores }) => {
  const out = new Float64Array(numbers.length);
  scoreLinear(Float64Array.from(numbers), out, range, lower);
  expect([...out]).toEqual(scores);
});

function scores(given: object, key: AttributeKey<unknown>, values: readonly unknown[], atMs = 10_000): number[] {
  const endpoints = values.map((value, slot) => buildEndpoint(slot, { attributes: [[key, value, atMs]] }));
  const { instance } = buildPlugin(endpointAttributeScorer, { params: { ...paramsOf(higher), ...given } });
  const out = new Float64Array(values.length);
  instance.score!(buildRequest({ nowMs: 10_000 }), endpoints, out);
  return [...out];
}

test("a stale number is unknown", () => {
  expect(scores({}, WAITING_QUEUE_SIZE, [1, 2], 8000)).toEqual([0, 1]);
  expect(scores({}, WAITING_QUEUE_SIZE, [1, 2], 7999)).toEqual([0, 0]);
});

test("what is infinite or no number is unknown", () => {
  expect(scores({}, WAITING_QUEUE_SIZE, [1, 2, Number.POSITIVE_INFINITY])).toEqual([0, 1, 0]);
  expect(scores({ attributeKey: "ActiveModels" }, ACTIVE_MODELS, [new Set(["a"])])).toEqual([0]);
});

test("the number is that of the producer that is named", () => {
  const key = customMetric("GpuUtil", "dcgm-extractor");
  expect(scores({ attributeKey: "GpuUtil", producer: "dcgm-extractor" }, key, [1, 3, 2])).toEqual([0, 1, 0.5]);
  expect(scores({ attributeKey: "GpuUtil" }, key, [1, 3])).toEqual([0, 0]);
});

test("adaptiveRange is what counts by default", () => {
  const given = { algorithm: { ...higher, normalization: { adaptiveRange: {} } } };
  expect(scores(given, WAITING_QUEUE_SIZE, [1, 3, 2])).toEqual([0, 1, 0.5]);
});

const normalized = (normalization: object) => ({ algorithm: { ...lower, normalization } });

test.each([
  { given: { attributeKey: "" }, problem: "attributeKey: " },
  { given: { attributeKey: "a/b" }, problem: 'attributeKey: "a/b" contains "/"' },
  { given: { algorithm: {} }, problem: "algorithm.type: " },
  { given: { algorithm: { type: "threshold" } }, problem: "algorithm.type: " },
  { given: normalized({ fixedRange: { min: 1 } }), problem: "algorithm.normalization.fixedRange.max: " },
  { given: normalized({ fixedRange: { min: 1, max: 1 } }), problem: "fixedRange: min must be below max" },
  {
    given: normalized({ fixedRange: { min: 0, max: 1 }, adaptiveRange: {} }),
    problem: "algorithm.normalization: takes one of fixedRange and adaptiveRange, not both",
  },
  { given: normalized({ adaptiveRange: { min: 0 } }), problem: "algorithm.normalization.adaptiveRange: " },
])("$problem is the answer to $given", ({ given, problem }) => {
  const params = { ...paramsOf(lower), ...given };
  expect(() => buildPlugin(endpointAttributeScorer, { params })).toThrow(problem);
});
