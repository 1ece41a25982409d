import { MULTICLUSTER_QUEUE_SIZE, WAITING_QUEUE_SIZE } from "@pointsman/core";
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
import multiclusterQueueScorer from "./index.ts";

const counts = fc.oneof({ weight: 4, arbitrary: fc.double({ min: 0, max: 50, noNaN: true }) }, fc.double());
const signals = [endpointSignal(MULTICLUSTER_QUEUE_SIZE, counts)];

pluginContract(multiclusterQueueScorer, { testFile: import.meta.url });
scorerContract(multiclusterQueueScorer, { signals });
monotoneIn(multiclusterQueueScorer, improvement(MULTICLUSTER_QUEUE_SIZE, lowerIsBetter(fc.nat(50))), { signals });

function scores(queues: readonly (number | undefined)[], key = MULTICLUSTER_QUEUE_SIZE, atMs = 10_000): number[] {
  const endpoints = queues.map((queue, slot) =>
    buildEndpoint(slot, { attributes: queue === undefined ? [] : [[key, queue, atMs]] }),
  );
  const out = new Float64Array(queues.length);
  buildPlugin(multiclusterQueueScorer).instance.score!(buildRequest({ nowMs: 10_000 }), endpoints, out);
  return [...out];
}

test("the key is that of no particular producer", () => {
  expect(multiclusterQueueScorer.consumes!(undefined)).toMatchObject({
    required: [{ id: "llm-d.ai/multicluster-queue-size/" }],
  });
});

// Source: spec scheduling-plugins C12.
test.each([
  { name: "shortest 1, longest 0, linear between", queues: [0.5, 1.5, 2.5], expected: [1, 0.5, 0] },
  { name: "all equal: 1", queues: [3, 3], expected: [1, 1] },
  { name: "unknown: 0 while another is known", queues: [9, undefined, 3], expected: [0, 0, 1] },
  { name: "nothing known: 1 for all", queues: [undefined, undefined], expected: [1, 1] },
])("$name", ({ queues, expected }) => {
  expect(scores(queues)).toEqual(expected);
});

test("a stale figure is unknown, and the queue of a single server is no figure of a cluster", () => {
  expect(scores([1, 2], MULTICLUSTER_QUEUE_SIZE, 7999)).toEqual([1, 1]);
  expect(scores([1, 2], WAITING_QUEUE_SIZE)).toEqual([1, 1]);
});
