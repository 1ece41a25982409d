import { type Endpoint, LATENCY_PREDICTION, type LatencyPrediction, slotTableLength } from "@pointsman/core";
import {
  buildEndpoint,
  buildPlugin,
  buildRequest,
  filterContract,
  pluginContract,
  type RequestOptions,
} from "@pointsman/testkit";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import sloHeadroomTierFilter from "./index.ts";

type Headroom = readonly [ttftMs: number, tpotMs: number];

function predicted(headrooms: readonly Headroom[], producer?: string): RequestOptions {
  const length = headrooms.length;
  const prediction: LatencyPrediction = {
    ttftMs: new Float64Array(length),
    tpotMs: new Float64Array(length),
    ttftHeadroomMs: Float64Array.from(headrooms, ([ttft]) => ttft),
    tpotHeadroomMs: Float64Array.from(headrooms, ([, tpot]) => tpot),
    ttftValid: new Uint8Array(length),
    tpotValid: new Uint8Array(length),
    dispatchedRequests: new Int32Array(length),
  };
  return { attributes: [[LATENCY_PREDICTION.from(producer), prediction]] };
}

const none: Headroom = [Number.NaN, Number.NaN];
const headroom = fc.oneof(
  { weight: 3, arbitrary: fc.tuple(fc.integer({ min: -9, max: 9 }), fc.integer({ min: -9, max: 9 })) },
  { weight: 1, arbitrary: fc.constant(none) },
  { weight: 1, arbitrary: fc.tuple(fc.double(), fc.double()) },
);
const request = (endpoints: readonly Endpoint[]) =>
  fc.oneof(
    { weight: 1, arbitrary: fc.constant<RequestOptions>({}) },
    {
      weight: 6,
      arbitrary: fc.array(headroom, { maxLength: slotTableLength(endpoints) }).map((headrooms) => predicted(headrooms)),
    },
  );

pluginContract(sloHeadroomTierFilter, { testFile: import.meta.url });
describe.each([{ epsilonExploreNeg: 0 }, { epsilonExploreNeg: 0.5 }])("with %j", (params) => {
  filterContract(sloHeadroomTierFilter, { params, request });
});

function kept(headrooms: readonly Headroom[] | undefined, epsilonExploreNeg = 0, count = headrooms?.length ?? 2) {
  const { instance } = buildPlugin(sloHeadroomTierFilter, { params: { epsilonExploreNeg } });
  const endpoints = Array.from({ length: count }, (_, slot) => buildEndpoint(slot));
  const options = headrooms === undefined ? {} : predicted(headrooms);
  return instance.filter!(buildRequest(options), endpoints).map(({ slot }) => slot);
}

// Source: spec scheduling-plugins A6.
test.each([
  {
    name: "endpoints that meet both objectives stay",
    headrooms: [
      [0, 0],
      [1, -1],
      [-1, 1],
      [5, 5],
    ],
    slots: [0, 3],
  },
  {
    name: "nobody meets both: all stay",
    headrooms: [
      [1, -1],
      [-1, 1],
    ],
    slots: [0, 1],
  },
  {
    name: "everybody meets both: all stay",
    headrooms: [
      [1, 1],
      [0, 0],
    ],
    slots: [0, 1],
  },
  { name: "one without a prediction counts as missing them", headrooms: [[1, 1], none], slots: [0] },
  {
    name: "half a prediction is none",
    headrooms: [
      [1, 1],
      [Number.NaN, 1],
    ],
    slots: [0],
  },
  { name: "no predictions: all stay", headrooms: [none, none], slots: [0, 1] },
] as { name: string; headrooms: Headroom[]; slots: number[] }[])("$name", ({ headrooms, slots }) => {
  expect(kept(headrooms)).toEqual(slots);
});

test("a slot beyond the table has no prediction", () => {
  expect(kept([[1, 1]], 0, 3)).toEqual([0]);
});

test("a request without predictions keeps all", () => {
  expect(kept(undefined)).toEqual([0, 1]);
});

test("an endpoint alone stays", () => {
  expect(kept([[-1, -1]], 1)).toEqual([0]);
});

test("with probability 1 those that miss an objective stay instead, also those without a prediction", () => {
  expect(kept([[1, 1], [-1, 1], none], 1)).toEqual([1, 2]);
});

test("those that miss an objective are tried as often as configured", () => {
  const { instance } = buildPlugin(sloHeadroomTierFilter, { params: { epsilonExploreNeg: 0.2 }, seed: 3 });
  const endpoints = [buildEndpoint(0), buildEndpoint(1)];
  let tried = 0;
  for (let i = 0; i < 4000; i++) {
    if (
      instance.filter!(
        buildRequest(
          predicted([
            [1, 1],
            [-1, -1],
          ]),
        ),
        endpoints,
      )[0] === endpoints[1]
    )
      tried++;
  }
  // Five standard deviations of a share of 4000.
  expect(Math.abs(tried / 4000 - 0.2)).toBeLessThan(5 * Math.sqrt((0.2 * 0.8) / 4000));
});

test("the predictions are those of the producer that is named", () => {
  const { instance } = buildPlugin(sloHeadroomTierFilter, {
    params: { latencyPredictionInfoProducerName: "far", epsilonExploreNeg: 0 },
  });
  const endpoints = [buildEndpoint(0), buildEndpoint(1)];
  const headrooms: Headroom[] = [
    [1, 1],
    [-1, -1],
  ];
  expect(instance.filter!(buildRequest(predicted(headrooms, "far")), endpoints)).toHaveLength(1);
  expect(instance.filter!(buildRequest(predicted(headrooms)), endpoints)).toHaveLength(2);
});

test.each([{ epsilonExploreNeg: 1.1 }, { epsilonExploreNeg: -0.1 }, { epsilon: 0.1 }])("%j is refused", (params) => {
  expect(() => buildPlugin(sloHeadroomTierFilter, { params })).toThrow(Object.keys(params)[0]);
});
