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
import { idleShare } from "./example-scorer.ts";
import exampleScorer from "./index.ts";

// Whatever an engine reports may end up in an attribute.
const signals = [endpointSignal(RUNNING_REQUESTS_SIZE, fc.oneof(fc.nat(200), fc.double()))];

pluginContract(exampleScorer, { testFile: import.meta.url });
scorerContract(exampleScorer, { signals });
monotoneIn(exampleScorer, improvement(RUNNING_REQUESTS_SIZE, lowerIsBetter(fc.nat(200))), { signals });

test.each([
  [0, 1],
  [16, 0.75],
  [64, 0],
  [900, 0],
  [undefined, 0],
  [Number.NaN, 0],
  [-1, 0],
])("%s running requests score %s", (runningRequests, score) => {
  expect(idleShare(runningRequests, 64)).toBe(score);
});

test("the idle endpoint scores above the busy one, and a stale number counts as not known", () => {
  const { instance } = buildPlugin(exampleScorer, { params: { busyRequests: 10 }, stalenessMs: 2000 });
  const endpoints = [
    buildEndpoint(0, { attributes: [[RUNNING_REQUESTS_SIZE, 5, 9000]] }),
    buildEndpoint(1, { attributes: [[RUNNING_REQUESTS_SIZE, 0, 9000]] }),
    buildEndpoint(2, { attributes: [[RUNNING_REQUESTS_SIZE, 0, 7999]] }),
  ];
  const out = new Float64Array(3);
  instance.score!(buildRequest({ nowMs: 10_000 }), endpoints, out);
  expect([...out]).toEqual([0.5, 1, 0]);
});
