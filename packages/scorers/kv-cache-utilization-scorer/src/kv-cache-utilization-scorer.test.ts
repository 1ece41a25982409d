import { KV_CACHE_USAGE } from "@pointsman/core";
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
import kvCacheUtilizationScorer from "./index.ts";
import { scoreFreeCache } from "./kv-cache-utilization-scorer.ts";

const shares = fc.double({ min: 0, max: 1, noNaN: true });
// Whatever an engine reports may end up in an attribute.
const anyNumbers = fc.oneof({ weight: 4, arbitrary: shares }, { weight: 1, arbitrary: fc.double() });
const signals = [endpointSignal(KV_CACHE_USAGE, anyNumbers)];

pluginContract(kvCacheUtilizationScorer, { testFile: import.meta.url });
scorerContract(kvCacheUtilizationScorer, { signals });
monotoneIn(kvCacheUtilizationScorer, improvement(KV_CACHE_USAGE, lowerIsBetter(shares)), { signals });

test.each([
  { name: "the score is the free share", used: [0, 0.25, 1], scores: [1, 0.75, 0] },
  { name: "the score does not depend on the others", used: [0.75], scores: [0.25] },
  { name: "unknown scores 0 while another is known", used: [0.5, Number.NaN], scores: [0.5, 0] },
  { name: "all score 1 when none is known", used: [Number.NaN, Number.NaN], scores: [1, 1] },
  { name: "a share above 1 counts as full", used: [1.5, 0.5], scores: [0, 0.5] },
  { name: "a share below 0 counts as unknown", used: [-1, 0.5], scores: [0, 0.5] },
])("$name", ({ used, scores }) => {
  const out = new Float64Array(used.length);
  scoreFreeCache(Float64Array.from(used), out);
  expect([...out]).toEqual(scores);
});

test("a value older than the staleness threshold counts as unknown", () => {
  const { instance } = buildPlugin(kvCacheUtilizationScorer, { stalenessMs: 2000 });
  const endpoints = [
    buildEndpoint(0, { attributes: [[KV_CACHE_USAGE, 0.9, 8000]] }),
    buildEndpoint(1, { attributes: [[KV_CACHE_USAGE, 0, 7999]] }),
  ];
  const out = new Float64Array(2);
  instance.score!(buildRequest({ nowMs: 10_000 }), endpoints, out);
  expect(out[0]).toBeCloseTo(0.1, 12);
  expect(out[1]).toBe(0);
});
