import { RUNNING_REQUESTS_SIZE } from "@pointsman/core";
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
import runningRequestsSizeScorer from "./index.ts";

const counts = fc.oneof(fc.nat(20), fc.double({ min: 0, noNaN: true, noDefaultInfinity: true }));
// Whatever an engine reports may end up in an attribute.
const anyNumbers = fc.oneof({ weight: 4, arbitrary: counts }, { weight: 1, arbitrary: fc.double() });
const signals = [endpointSignal(RUNNING_REQUESTS_SIZE, anyNumbers)];

pluginContract(runningRequestsSizeScorer, { testFile: import.meta.url });
scorerContract(runningRequestsSizeScorer, { signals });
monotoneIn(runningRequestsSizeScorer, improvement(RUNNING_REQUESTS_SIZE, lowerIsBetter(counts)), { signals });

test("a value older than the staleness threshold counts as unknown", () => {
  const { instance } = buildPlugin(runningRequestsSizeScorer, { stalenessMs: 2000 });
  const endpoints = [
    buildEndpoint(0, { attributes: [[RUNNING_REQUESTS_SIZE, 9, 8000]] }),
    buildEndpoint(1, { attributes: [[RUNNING_REQUESTS_SIZE, 0, 7999]] }),
  ];
  const out = new Float64Array(2);
  instance.score!(buildRequest({ nowMs: 10_000 }), endpoints, out);
  expect([...out]).toEqual([1, 0]);
});
