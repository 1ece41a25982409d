import {
  KV_CACHE_USAGE,
  LATENCY_PREDICTION,
  PREFIX_MATCH,
  silentLogger,
  slotTableLength,
  WAITING_QUEUE_SIZE,
} from "@pointsman/core";
import {
  type AttributeValue,
  buildEndpoint,
  buildPlugin,
  buildRequest,
  endpointSignal,
  improvement,
  lowerIsBetter,
  monotoneIn,
  pluginContract,
  type RequestOptions,
  scorerContract,
} from "@pointsman/testkit";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import latencyScorer from "./index.ts";

type Attributes = NonNullable<RequestOptions["attributes"]>;
type Headroom = readonly [ttftMs: number, tpotMs: number, dispatched?: number];

function predictionOf(headrooms: readonly Headroom[], producer?: string): Attributes {
  const none = new Float64Array(headrooms.length);
  const prediction = {
    ...{ ttftMs: none, tpotMs: none },
    ttftHeadroomMs: Float64Array.from(headrooms, ([ttft]) => ttft),
    tpotHeadroomMs: Float64Array.from(headrooms, ([, tpot]) => tpot),
    ttftValid: new Uint8Array(headrooms.length),
    tpotValid: new Uint8Array(headrooms.length),
    dispatchedRequests: Int32Array.from(headrooms, ([, , dispatched = 1]) => dispatched),
  };
  return [[LATENCY_PREDICTION.from(producer), prediction]];
}

function matchOf(matched: readonly number[], totalBlocks: number, producer?: string): Attributes {
  const table = Int32Array.from(matched);
  return [
    [PREFIX_MATCH.from(producer), { totalBlocks, blockSizeTokens: 64, matchedBlocks: table, cachedBlocks: table }],
  ];
}

const shares = fc.double({ min: 0, max: 1, noNaN: true });
const signals = [
  endpointSignal(KV_CACHE_USAGE, fc.oneof({ weight: 4, arbitrary: shares }, fc.double())),
  endpointSignal(WAITING_QUEUE_SIZE, fc.oneof({ weight: 4, arbitrary: fc.nat(20) }, fc.double())),
];
const headroom = fc.oneof(
  fc.tuple(fc.integer({ min: -50, max: 50 }), fc.integer({ min: -50, max: 50 }), fc.nat(2)),
  fc.tuple(fc.double(), fc.double(), fc.nat(2)),
);

pluginContract(latencyScorer, { testFile: import.meta.url });
describe("with predictions", () => {
  for (const params of [{}, { headroomSelectionStrategy: "most", ttftWeight: 0, tpotWeight: 0 }]) {
    scorerContract(latencyScorer, {
      params,
      request: (endpoints) =>
        fc
          .array(headroom, { maxLength: slotTableLength(endpoints) })
          .map((headrooms) => ({ attributes: predictionOf(headrooms) })),
    });
  }
  monotoneIn(latencyScorer, {
    name: "deficit",
    request: (endpoints, index) => {
      const deficit = fc.integer({ min: -50, max: -1 });
      return fc.tuple(fc.array(deficit, { minLength: 100, maxLength: 100 }), deficit, deficit).map(([others, a, b]) => {
        const missing = (ttft: number) => {
          const all = others.map((other): Headroom => [other, other]);
          return { attributes: predictionOf(all.with(endpoints[index]!.slot, [ttft, -5])) };
        };
        return [missing(Math.min(a, b)), missing(Math.max(a, b))] as const;
      });
    },
  });
});
describe("without predictions", () => {
  scorerContract(latencyScorer, { signals });
  monotoneIn(latencyScorer, improvement(WAITING_QUEUE_SIZE, lowerIsBetter(fc.nat(20))), { signals });
  monotoneIn(latencyScorer, improvement(KV_CACHE_USAGE, lowerIsBetter(shares)), { signals });
});

const loaded = (used: number, queued: number, atMs = 10_000): readonly AttributeValue[] => [
  [KV_CACHE_USAGE, used, atMs],
  [WAITING_QUEUE_SIZE, queued, atMs],
];

function scores(params: object, attributes: Attributes, loads: readonly (readonly AttributeValue[])[]) {
  const warnings: string[] = [];
  const logger = { ...silentLogger, warn: (_fields: unknown, message: string) => warnings.push(message) };
  const { instance } = buildPlugin(latencyScorer, { params, logger });
  const out = new Float64Array(loads.length);
  const endpoints = loads.map((each, slot) => buildEndpoint(slot, { attributes: each }));
  instance.score!(buildRequest({ attributes, nowMs: 10_000 }), endpoints, out);
  return { scores: [...out], warnings };
}

const idle = [loaded(0, 0), loaded(0, 0)];

// Source: spec scheduling-plugins, golden values of latency-scorer; what is above 1 counts as 1.
test("predictions decide, and 1.01 counts as 1", () => {
  expect(
    scores(
      {},
      predictionOf([
        [100, 20],
        [30, 5],
      ]),
      idle,
    ).scores,
  ).toEqual([0.01, 1]);
  expect(
    scores(
      {},
      predictionOf([
        [-10, -5],
        [-100, -30],
      ]),
      idle,
    ).scores,
  ).toEqual([1, 0.01]);
});

test("an endpoint without a prediction scores 0 while another has one, however idle it is", () => {
  expect(scores({}, predictionOf([[-10, -5]]), [loaded(1, 9), loaded(0, 0)]).scores).toEqual([0.51, 0]);
});

test("without predictions cache, queue and prompt decide", () => {
  const attributes = matchOf([1, 3], 4);
  const both = { scores: [0.25, 0.75], warnings: [] };
  expect(scores({}, attributes, [loaded(0.5, 4), loaded(0.5, 0)]).scores).toEqual([0.25, 0.75]);
  expect(scores({ compositeKVWeight: 0, compositeQueueWeight: 0 }, attributes, idle)).toEqual(both);
  expect(scores({}, predictionOf([[Number.NaN, Number.NaN]]), [loaded(0.25, 1)]).scores).toEqual([0.25]);
});

test("stale figures are unknown", () => {
  expect(scores({}, [], [loaded(0, 0, 7999), loaded(0.5, 1)]).scores).toEqual([0, 0.17]);
});

test("weights that are all 0 leave the first token, and the free cache", () => {
  const zero = {
    ttftWeight: 0,
    tpotWeight: 0,
    compositeKVWeight: 0,
    compositeQueueWeight: 0,
    compositePrefixWeight: 0,
  };
  expect(
    scores(
      zero,
      predictionOf([
        [0, 9],
        [9, 0],
      ]),
      idle,
    ).scores,
  ).toEqual([1, 0.01]);
  expect(scores(zero, matchOf([4], 4), [loaded(0.25, 9)]).scores).toEqual([0.75]);
});

test("data is read from the producers that are named", () => {
  const params = { latencyPredictionInfoProducerName: "l", prefixMatchInfoProducerName: "p" };
  const headrooms: Headroom[] = [
    [100, 20],
    [30, 5],
  ];
  expect(scores(params, predictionOf(headrooms, "l"), idle).scores).toEqual([0.01, 1]);
  expect(scores(params, [...predictionOf(headrooms), ...matchOf([0, 4], 4, "p")], idle).scores).toEqual([0.67, 1]);
});

test("a strategy that is neither least nor most counts as least and warns", () => {
  expect(
    scores(
      { headroomSelectionStrategy: "composite" },
      predictionOf([
        [100, 20],
        [30, 5],
      ]),
      idle,
    ),
  ).toEqual({
    scores: [0.01, 1],
    warnings: ["parameter headroomSelectionStrategy is neither least nor most and counts as least"],
  });
  expect(
    scores(
      { headroomSelectionStrategy: "most" },
      predictionOf([
        [100, 20],
        [30, 5],
      ]),
      idle,
    ),
  ).toEqual({
    scores: [1, 0.01],
    warnings: [],
  });
});

test.each([{ ttftWeight: -1 }, { tpotWeight: "1" }, { compositeKVWeight: -0.1 }, { weight: 1 }])(
  "%j is refused",
  (params) => {
    expect(() => buildPlugin(latencyScorer, { params })).toThrow(Object.keys(params)[0]);
  },
);
