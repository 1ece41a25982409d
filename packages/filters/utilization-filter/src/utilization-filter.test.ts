import { IN_FLIGHT_LOAD, KV_CACHE_USAGE, RUNNING_REQUESTS_SIZE, WAITING_QUEUE_SIZE } from "@pointsman/core";
import {
  type AttributeValue,
  buildEndpoint,
  buildPlugin,
  buildRequest,
  endpointSignal,
  filterContract,
  pluginContract,
} from "@pointsman/testkit";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import utilizationFilter from "./index.ts";

const nowMs = 10_000;
const all = {
  conditions: [
    { metric: "active-requests", maxValue: 5 },
    { metric: "running-requests", maxValue: 5 },
    { metric: "waiting-queue", maxValue: 5 },
    { metric: "kv-cache-utilization", maxValue: 0.5 },
  ],
};
const counts = fc.oneof({ weight: 4, arbitrary: fc.nat(9) }, { weight: 1, arbitrary: fc.double() });
const signals = [
  endpointSignal(
    IN_FLIGHT_LOAD.from(),
    counts.map((requests) => ({ requests, tokens: 0 })),
  ),
  endpointSignal(RUNNING_REQUESTS_SIZE, counts),
  endpointSignal(WAITING_QUEUE_SIZE, counts),
  endpointSignal(KV_CACHE_USAGE, fc.oneof(fc.double({ min: 0, max: 1, noNaN: true }), fc.double())),
];

pluginContract(utilizationFilter, { testFile: import.meta.url, params: all });
describe.each([all, { ...all, fallbackOnEmpty: true }, { conditions: [{ metric: "waiting-queue", maxValue: 3 }] }])(
  "with %j",
  (params) => filterContract(utilizationFilter, { params, signals }),
);

function kept(params: object, endpoints: readonly (readonly AttributeValue[])[]): readonly number[] {
  const built = endpoints.map((attributes, slot) => buildEndpoint(slot, { attributes }));
  const { instance } = buildPlugin(utilizationFilter, { params });
  return instance.filter!(buildRequest({ nowMs }), built).map(({ slot }) => slot);
}

const limit = (metric: string, maxValue: number) => ({ conditions: [{ metric, maxValue }] });
const load = (requests: number): AttributeValue => [IN_FLIGHT_LOAD.from(), { requests, tokens: 0 }, 0];
const queue = (waiting: number, atMs = nowMs): AttributeValue => [WAITING_QUEUE_SIZE, waiting, atMs];

test.each([
  { metric: "active-requests", max: 2, values: [1, 2, 3].map(load), slots: [0, 1] },
  { metric: "waiting-queue", max: 0, values: [0, 1].map((q) => queue(q)), slots: [0] },
  {
    metric: "running-requests",
    max: 4,
    values: [4, 5].map((n): AttributeValue => [RUNNING_REQUESTS_SIZE, n, nowMs]),
    slots: [0],
  },
  {
    metric: "kv-cache-utilization",
    max: 0.8,
    values: [0.8, 0.81].map((n): AttributeValue => [KV_CACHE_USAGE, n, nowMs]),
    slots: [0],
  },
])("$metric up to $max is kept", ({ metric, max, values, slots }) => {
  expect(
    kept(
      limit(metric, max),
      values.map((value) => [value]),
    ),
  ).toEqual(slots);
});

test("every limit must be kept", () => {
  const params = { conditions: [limit("waiting-queue", 1), limit("active-requests", 1)].flatMap((p) => p.conditions) };
  expect(
    kept(params, [
      [queue(1), load(1)],
      [queue(2), load(1)],
      [queue(1), load(2)],
    ]),
  ).toEqual([0]);
});

test("an unknown, stale or impossible figure is beyond the limit while that of another endpoint is known", () => {
  const others = [[], [queue(0, nowMs - 2001)], [queue(-1)], [queue(Number.POSITIVE_INFINITY)]];
  expect(kept(limit("waiting-queue", 5), [[queue(9)], ...others, [queue(5)]])).toEqual([5]);
});

test("a figure that is known of no endpoint drops none", () => {
  const params = { conditions: [limit("waiting-queue", 0), limit("active-requests", 0)].flatMap((p) => p.conditions) };
  expect(kept(params, [[queue(9, 0), load(0)], [load(1)]])).toEqual([0]);
  expect(kept(params, [[], []])).toEqual([0, 1]);
});

test("what is known of one list of candidates says nothing about the next", () => {
  const { instance } = buildPlugin(utilizationFilter, { params: limit("waiting-queue", 5) });
  const request = buildRequest({ nowMs });
  expect(instance.filter!(request, [buildEndpoint(0, { attributes: [queue(9)] })])).toEqual([]);
  expect(instance.filter!(request, [buildEndpoint(1)])).toHaveLength(1);
});

test("when none is within the limits the list is empty, or whole when that is configured", () => {
  expect(kept(limit("waiting-queue", 1), [[queue(2)], [queue(3)]])).toEqual([]);
  expect(kept({ ...limit("waiting-queue", 1), fallbackOnEmpty: true }, [[queue(2)], [queue(3)]])).toEqual([0, 1]);
});

test("own counts are needed only where a limit is set on them, from the producer that is named", () => {
  const idsOf = (params: object) => {
    const outcome = utilizationFilter.params!["~standard"].validate(params);
    if (outcome instanceof Promise || outcome.issues !== undefined) throw new Error("refused");
    return utilizationFilter.consumes!(outcome.value).required!.map(({ id }) => id);
  };
  expect(idsOf(limit("waiting-queue", 1))).toEqual(["WaitingQueueSize/core-metrics-extractor"]);
  expect(idsOf({ ...limit("active-requests", 1), inFlightLoadProducerName: "far" })).toEqual([
    "InFlightLoadDataKey/far",
  ]);
});

test("a higher limit never drops more", () => {
  fc.assert(
    fc.property(fc.array(fc.nat(9), { maxLength: 6 }), fc.nat(9), fc.nat(5), (queues, max, more) => {
      const endpoints = queues.map((waiting) => [queue(waiting)]);
      const tight = kept(limit("waiting-queue", max), endpoints);
      expect(kept(limit("waiting-queue", max + more), endpoints)).toEqual(expect.arrayContaining([...tight]));
    }),
  );
});

test.each([
  { params: {}, problem: "conditions: " },
  { params: { conditions: [] }, problem: "conditions: " },
  { params: limit("queue", 1), problem: "conditions.0.metric: " },
  { params: { conditions: [{ metric: "waiting-queue" }] }, problem: "conditions.0.maxValue: " },
  { params: limit("waiting-queue", -1), problem: "conditions.0.maxValue: " },
  { params: limit("kv-cache-utilization", 1.1), problem: "conditions.0.maxValue: is a share: at most 1" },
])("$problem is the answer to $params", ({ params, problem }) => {
  expect(() => buildPlugin(utilizationFilter, { params })).toThrow(problem);
});
