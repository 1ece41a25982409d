import { MULTICLUSTER_KV_CACHE_UTILIZATION } from "@pointsman/core";
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
import multiclusterKvCacheUtilizationScorer from "./index.ts";

const key = MULTICLUSTER_KV_CACHE_UTILIZATION;
const shares = fc.double({ min: 0, max: 1, noNaN: true });
const signals = [endpointSignal(key, fc.oneof({ weight: 4, arbitrary: shares }, fc.double()))];

pluginContract(multiclusterKvCacheUtilizationScorer, { testFile: import.meta.url });
scorerContract(multiclusterKvCacheUtilizationScorer, { signals });
monotoneIn(multiclusterKvCacheUtilizationScorer, improvement(key, lowerIsBetter(shares)), { signals });

function scores(used: readonly (number | undefined)[], atMs = 10_000): number[] {
  const endpoints = used.map((share, slot) =>
    buildEndpoint(slot, { attributes: share === undefined ? [] : [[key, share, atMs]] }),
  );
  const out = new Float64Array(used.length);
  buildPlugin(multiclusterKvCacheUtilizationScorer).instance.score!(buildRequest({ nowMs: 10_000 }), endpoints, out);
  return [...out];
}

test("the key is that of no particular producer", () => {
  expect(multiclusterKvCacheUtilizationScorer.consumes!(undefined)).toMatchObject({
    required: [{ id: "llm-d.ai/multicluster-kv-cache-utilization/" }],
  });
});

// Source: spec scheduling-plugins C12.
test.each([
  { name: "the score is the free share", used: [0, 0.25, 1], expected: [1, 0.75, 0] },
  { name: "unknown: 0 while another is known", used: [0.5, undefined], expected: [0.5, 0] },
  { name: "nothing known: 1 for all", used: [undefined, undefined], expected: [1, 1] },
  { name: "above 1 is full, below 0 unknown", used: [1.5, -1, 0.5], expected: [0, 0, 0.5] },
])("$name", ({ used, expected }) => {
  expect(scores(used)).toEqual(expected);
});

test("a stale figure is unknown", () => {
  expect(scores([0.9], 8000)[0]).toBeCloseTo(0.1, 12);
  expect(scores([0.9], 7999)).toEqual([1]);
});
