import { IN_FLIGHT_LOAD, silentLogger } from "@pointsman/core";
import {
  buildEndpoint,
  buildPlugin,
  buildRequest,
  endpointSignal,
  improvement,
  lowerIsBetter,
  monotoneIn,
  pluginContract,
  scorerContract,
} from "@pointsman/testkit";
import fc from "fast-check";
import { expect, test } from "vitest";
import { scoreActive } from "./active-request-scorer.ts";
import activeRequestScorer from "./index.ts";

// Whatever a producer writes may end up in an attribute.
const counts = fc.oneof({ weight: 4, arbitrary: fc.nat(50) }, { weight: 1, arbitrary: fc.double() });
const loadsOf = (requests: fc.Arbitrary<number>) => requests.map((count) => ({ requests: count, tokens: 0 }));
const signals = [endpointSignal(IN_FLIGHT_LOAD.from(), loadsOf(counts))];

pluginContract(activeRequestScorer, { testFile: import.meta.url });
for (const params of [{}, { idleThreshold: 3, maxBusyScore: 0.5 }]) {
  scorerContract(activeRequestScorer, { params, signals });
  const better = lowerIsBetter(fc.nat(50)).map(
    ([worse, better]) =>
      [
        { requests: worse, tokens: 0 },
        { requests: better, tokens: 0 },
      ] as const,
  );
  monotoneIn(activeRequestScorer, improvement(IN_FLIGHT_LOAD.from(), better), { params, signals });
}

const plain = { idleThreshold: 0, maxBusyScore: 1 };

test.each([
  // Source: spec scheduling-plugins, golden values of active-request-scorer.
  { name: "counts 0, 2, 4 score 1, 0.5, 0", counts: [0, 2, 4], params: plain, scores: [1, 0.5, 0] },
  { name: "nobody idle: the busiest gets 0", counts: [1, 4], params: plain, scores: [0.75, 0] },
  { name: "all equal and busy: 0", counts: [3, 3], params: plain, scores: [0, 0] },
  { name: "alone and busy: 0", counts: [3], params: plain, scores: [0] },
  { name: "idle up to the threshold", counts: [2, 3, 4], params: { ...plain, idleThreshold: 2 }, scores: [1, 0.25, 0] },
  { name: "busy ones below the cap", counts: [0, 2, 4], params: { ...plain, maxBusyScore: 0.5 }, scores: [1, 0.25, 0] },
  { name: "unknown scores 0 while another is known", counts: [0, Number.NaN], params: plain, scores: [1, 0] },
  { name: "all score 1 when none is known", counts: [Number.NaN, -1], params: plain, scores: [1, 1] },
])("$name", ({ counts, params, scores }) => {
  const out = new Float64Array(counts.length);
  scoreActive(Float64Array.from(counts), out, params);
  expect([...out]).toEqual(scores);
});

function scores(params: unknown, producer?: string): { scores: number[]; warnings: string[] } {
  const warnings: string[] = [];
  const logger = { ...silentLogger, warn: (_fields: unknown, message: string) => warnings.push(message) };
  const { instance } = buildPlugin(activeRequestScorer, { params, logger });
  const endpoints = [0, 2, 4].map((requests, slot) =>
    buildEndpoint(slot, { attributes: [[IN_FLIGHT_LOAD.from(producer), { requests, tokens: 9 }, 0]] }),
  );
  const out = new Float64Array(3);
  instance.score!(buildRequest({ nowMs: 1e9 }), endpoints, out);
  return { scores: [...out], warnings };
}

test("a count of any age counts", () => {
  expect(scores({})).toEqual({ scores: [1, 0.5, 0], warnings: [] });
});

test("the counts are those of the producer that is named", () => {
  expect(scores({ inFlightLoadProducerName: "far" }, "far").scores).toEqual([1, 0.5, 0]);
  expect(scores({}, "far").scores).toEqual([1, 1, 1]);
});

test.each([1.5, -0.1])("a maxBusyScore of %d counts as 1 and warns", (maxBusyScore) => {
  expect(scores({ maxBusyScore })).toEqual({
    scores: [1, 0.5, 0],
    warnings: ["parameter maxBusyScore lies outside 0 to 1 and counts as 1"],
  });
});

test("an idleThreshold below 0 counts as 0", () => {
  expect(scores({ idleThreshold: -4 }).scores).toEqual([1, 0.5, 0]);
});

test("requestTimeout is accepted and warns", () => {
  expect(scores({ requestTimeout: "2m" })).toEqual({
    scores: [1, 0.5, 0],
    warnings: ["deprecated parameter requestTimeout is ignored"],
  });
});

test.each([{ idleThreshold: 1.5 }, { maxBusyScore: "1" }, { maxBusy: 1 }])("%j is refused", (params) => {
  expect(() => buildPlugin(activeRequestScorer, { params })).toThrow(Object.keys(params)[0]);
});
