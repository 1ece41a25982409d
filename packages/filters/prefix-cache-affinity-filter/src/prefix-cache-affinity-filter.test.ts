import { type Endpoint, IN_FLIGHT_LOAD, LATENCY_PREDICTION, PREFIX_MATCH, slotTableLength } from "@pointsman/core";
import {
  buildEndpoint,
  buildPlugin,
  buildRequest,
  endpointSignal,
  filterContract,
  pluginContract,
  type RequestOptions,
} from "@pointsman/testkit";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import prefixCacheAffinityFilter from "./index.ts";

type Attributes = NonNullable<RequestOptions["attributes"]>;

function matchOf(matched: readonly number[], totalBlocks = 10, producer?: string): Attributes {
  const table = Int32Array.from(matched);
  const match = { totalBlocks, blockSizeTokens: 64, matchedBlocks: table, cachedBlocks: table };
  return [[PREFIX_MATCH.from(producer), match]];
}

function predictionOf(ttftMs: readonly number[]): Attributes {
  const none = new Float64Array(ttftMs.length);
  const prediction = {
    ...{ tpotMs: none, ttftHeadroomMs: none, tpotHeadroomMs: none },
    ttftMs: Float64Array.from(ttftMs),
    ttftValid: new Uint8Array(ttftMs.length),
    tpotValid: new Uint8Array(ttftMs.length),
    dispatchedRequests: new Int32Array(ttftMs.length),
  };
  return [[LATENCY_PREDICTION.from(), prediction]];
}

const request = (endpoints: readonly Endpoint[]) => {
  const length = slotTableLength(endpoints);
  const times = fc.oneof(fc.nat(40_000), fc.constant(Number.NaN));
  return fc
    .record({
      blocks: fc.option(fc.array(fc.nat(12), { maxLength: length })),
      total: fc.constantFrom(0, 10),
      ttft: fc.array(times, { maxLength: length }),
    })
    .map(({ blocks, total, ttft }) => ({
      attributes: [...(blocks === null ? [] : matchOf(blocks, total)), ...predictionOf(ttft)],
    }));
};
const signals = [
  endpointSignal(
    IN_FLIGHT_LOAD.from(),
    fc.oneof(fc.nat(1_000_000), fc.double()).map((tokens) => ({ tokens, requests: 1 })),
  ),
];
const predictor = { ttftSource: "latencyPredictor" };

for (const params of [{}, predictor, { maxTTFTPenaltyMs: 0 }]) {
  describe(JSON.stringify(params), () => {
    pluginContract(prefixCacheAffinityFilter, { testFile: import.meta.url, params });
    filterContract(prefixCacheAffinityFilter, { params, signals, request });
  });
}
describe("exploring", () => {
  filterContract(prefixCacheAffinityFilter, { params: { explorationProbability: 0.5 }, signals, request });
});

function kept(
  params: object,
  attributes: Attributes,
  tokens: readonly (number | undefined)[],
  options: { readonly seed?: number; readonly producer?: string } = {},
): readonly number[] {
  const endpoints = tokens.map((inFlight, slot) => {
    const load = [IN_FLIGHT_LOAD.from(options.producer), { tokens: inFlight, requests: 1 }, 0] as const;
    return buildEndpoint(slot, { attributes: inFlight === undefined ? [] : [load] });
  });
  const { instance } = buildPlugin(prefixCacheAffinityFilter, { params, seed: options.seed ?? 1 });
  return instance.filter!(buildRequest({ attributes, nowMs: 1e9 }), endpoints).map(({ slot }) => slot);
}

const idle = [0, 0, 0];

// Source: spec scheduling-plugins A5.
test.each([
  { name: "endpoints from the threshold on stay", matched: [8, 7, 10], tokens: idle, slots: [0, 2] },
  { name: "nobody reaches the threshold: all stay", matched: [7, 7, 0], tokens: idle, slots: [0, 1, 2] },
  { name: "everybody reaches it: all stay", matched: [8, 8, 8], tokens: idle, slots: [0, 1, 2] },
  { name: "a slot beyond the table holds nothing", matched: [9], tokens: idle, slots: [0] },
  { name: "a wait that is worth it", matched: [9, 0, 0], tokens: [180, 0, 0], slots: [0] },
  { name: "a wait that is not: all stay", matched: [9, 0, 0], tokens: [181, 0, 0], slots: [0, 1, 2] },
  { name: "the best of both sides is compared", matched: [9, 9, 0], tokens: [999, 170, 0], slots: [0, 1] },
  { name: "both sides equally late", matched: [9, 0, 0], tokens: [9999, 9999, 9999], slots: [0] },
])("$name", ({ matched, tokens, slots }) => {
  // 10 tokens a second: 180 tokens take 18 s.
  expect(kept({ peakPrefillThroughput: 10 }, matchOf(matched), tokens)).toEqual(slots);
});

test("the default penalty is 18 s at 15,928 tokens a second", () => {
  expect(kept({}, matchOf([9, 0]), [15_928 * 18, 0])).toEqual([0]);
  expect(kept({}, matchOf([9, 0]), [15_928 * 18 + 1, 0])).toEqual([0, 1]);
});

test("a penalty of 0 never gives way", () => {
  expect(kept({ maxTTFTPenaltyMs: 0 }, matchOf([9, 0]), [1e12, 0])).toEqual([0]);
});

test("an endpoint whose load is unknown counts as infinitely late", () => {
  expect(kept({}, matchOf([9, 0]), [undefined, 0])).toEqual([0, 1]);
  expect(kept({}, matchOf([9, 0]), [1e12, undefined])).toEqual([0]);
  expect(kept({}, matchOf([9, 0]), [undefined, undefined])).toEqual([0]);
});

test("with a predictor the predicted times count, a missing one as infinite", () => {
  const decide = (ttft: readonly number[]) => kept(predictor, [...matchOf([9, 0]), ...predictionOf(ttft)], [9e9, 0]);
  expect(decide([18_100, 100])).toEqual([0]);
  expect(decide([18_101, 100])).toEqual([0, 1]);
  expect(decide([Number.NaN, 100])).toEqual([0, 1]);
  expect(decide([18_101])).toEqual([0]);
  expect(decide([])).toEqual([0]);
});

test.each([
  { name: "no match", attributes: [] as Attributes },
  { name: "a prompt without blocks", attributes: matchOf([0, 0, 0], 0) },
])("$name keeps all", ({ attributes }) => {
  expect(kept({}, attributes, idle)).toEqual([0, 1, 2]);
});

test("a threshold of 0 switches the filter off", () => {
  expect(kept({ affinityThreshold: 0 }, matchOf([9, 0, 0]), idle)).toEqual([0, 1, 2]);
  expect(kept({ affinityThreshold: -1 }, matchOf([9, 0, 0]), idle)).toEqual([0, 1, 2]);
});

test("all stay as often as exploring is configured", () => {
  expect(kept({ explorationProbability: 1 }, matchOf([9, 0, 0]), idle)).toEqual([0, 1, 2]);
  let explored = 0;
  for (let seed = 0; seed < 2000; seed++) {
    if (kept({ explorationProbability: 0.3 }, matchOf([9, 0, 0]), idle, { seed }).length === 3) explored++;
  }
  // Five standard deviations of a share of 2000.
  expect(Math.abs(explored / 2000 - 0.3)).toBeLessThan(5 * Math.sqrt((0.3 * 0.7) / 2000));
});

test("data is read from the producers that are named", () => {
  const params = { prefixMatchInfoProducerName: "p", inFlightLoadProducerName: "l" };
  const far = { producer: "l" };
  expect(kept(params, matchOf([9, 0], 10, "p"), [1e9, 0], far)).toEqual([0, 1]);
  expect(kept(params, matchOf([9, 0], 10, "p"), [0, 0], far)).toEqual([0]);
  expect(kept(params, matchOf([9, 0]), [0, 0], far)).toEqual([0, 1]);
});

test("more of the prompt never makes an endpoint go", () => {
  fc.assert(
    fc.property(fc.array(fc.nat(10), { minLength: 2, maxLength: 5 }), fc.nat(10), (matched, more) => {
      const loads = matched.map(() => 0);
      const raised = matched.with(0, Math.min(10, matched[0]! + more));
      if (kept({}, matchOf(matched), loads).includes(0)) {
        // When all stayed because nobody reached the threshold, somebody may now; it is the raised one.
        expect(kept({}, matchOf(raised), loads)).toContain(0);
      }
    }),
  );
});

test.each([
  { params: { affinityThreshold: 1.1 }, problem: "affinityThreshold: " },
  { params: { explorationProbability: 2 }, problem: "explorationProbability: " },
  { params: { maxTTFTPenaltyMs: -1 }, problem: "maxTTFTPenaltyMs: " },
  { params: { ttftSource: "oracle" }, problem: "ttftSource: " },
  { params: { peakPrefillThroughput: -1 }, problem: "peakPrefillThroughput: " },
  { params: { peakPrefillThroughput: 0 }, problem: "peakPrefillThroughput: must be above 0 tokens a second" },
])("$problem is the answer to $params", ({ params, problem }) => {
  expect(() => buildPlugin(prefixCacheAffinityFilter, { params })).toThrow(problem);
});

test.each([{ maxTTFTPenaltyMs: 0 }, predictor])("a throughput of 0 is accepted with %j", (params) => {
  expect(() =>
    buildPlugin(prefixCacheAffinityFilter, { params: { ...params, peakPrefillThroughput: 0 } }),
  ).not.toThrow();
});
