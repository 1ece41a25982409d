import { WAITING_QUEUE_SIZE } from "@pointsman/core";
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
import loadAwareScorer from "./index.ts";
import { scoreQueue } from "./load-aware-scorer.ts";

// Whatever an engine reports may end up in an attribute.
const queues = fc.oneof({ weight: 4, arbitrary: fc.nat(200) }, { weight: 1, arbitrary: fc.double() });
const signals = [endpointSignal(WAITING_QUEUE_SIZE, queues)];

pluginContract(loadAwareScorer, { testFile: import.meta.url });
for (const params of [{}, { threshold: 7 }]) {
  scorerContract(loadAwareScorer, { params, signals });
  monotoneIn(loadAwareScorer, improvement(WAITING_QUEUE_SIZE, lowerIsBetter(fc.nat(200))), { params, signals });
}

test.each([
  // Source: spec scheduling-plugins, golden values of load-aware-scorer.
  { name: "threshold 128: 0, 64 and 128 waiting score 0.5, 0.25, 0", queued: [0, 64, 128], scores: [0.5, 0.25, 0] },
  { name: "beyond the threshold: 0", queued: [500, Number.POSITIVE_INFINITY], scores: [0, 0] },
  { name: "the score does not depend on the others", queued: [64], scores: [0.25] },
  { name: "unknown scores 0 while another is known", queued: [64, Number.NaN], scores: [0.25, 0] },
  { name: "below 0 is unknown", queued: [64, -1], scores: [0.25, 0] },
  { name: "all score 0.5 when none is known", queued: [Number.NaN, -1], scores: [0.5, 0.5] },
])("$name", ({ queued, scores }) => {
  const out = new Float64Array(queued.length);
  scoreQueue(Float64Array.from(queued), out, 128);
  expect([...out]).toEqual(scores);
});

function scores(params: unknown): number[] {
  const { instance } = buildPlugin(loadAwareScorer, { params, stalenessMs: 2000 });
  const endpoints = [
    buildEndpoint(0, { attributes: [[WAITING_QUEUE_SIZE, 32, 8000]] }),
    buildEndpoint(1, { attributes: [[WAITING_QUEUE_SIZE, 0, 7999]] }),
  ];
  const out = new Float64Array(2);
  instance.score!(buildRequest({ nowMs: 10_000 }), endpoints, out);
  return [...out];
}

test("a queue older than the staleness threshold counts as unknown", () => {
  expect(scores({})).toEqual([0.375, 0]);
});

test("the threshold is configurable; 0 and below count as 128", () => {
  expect([64, 0, -1].map((threshold) => scores({ threshold })[0])).toEqual([0.25, 0.375, 0.375]);
});

test.each([{ threshold: 1.5 }, { threshold: "9" }, { queueThreshold: 9 }])("%j is refused", (params) => {
  expect(() => buildPlugin(loadAwareScorer, { params })).toThrow(Object.keys(params)[0]);
});
