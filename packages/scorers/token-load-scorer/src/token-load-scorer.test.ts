import { type Endpoint, IN_FLIGHT_LOAD, slotTableLength, UNCACHED_REQUEST_TOKENS } from "@pointsman/core";
import {
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
import { expect, test } from "vitest";
import tokenLoadScorer from "./index.ts";
import { scoreTokenLoad } from "./token-load-scorer.ts";

const params = { queueThresholdTokens: 1000 };
// Whatever a producer writes may end up in an attribute.
const tokens = fc.oneof({ weight: 4, arbitrary: fc.nat(1200) }, { weight: 1, arbitrary: fc.double() });
const signals = [
  endpointSignal(
    IN_FLIGHT_LOAD.from(),
    tokens.map((count) => ({ requests: 1, tokens: count })),
  ),
];

const withTable = (table: readonly number[]): RequestOptions => ({
  attributes: [[UNCACHED_REQUEST_TOKENS.from(), Float64Array.from(table)]],
});
/** The same for every slot, as without a prefix match: what differs is in the signals then. */
const evenRequest = (endpoints: readonly Endpoint[]): fc.Arbitrary<RequestOptions> =>
  fc
    .option(fc.nat(800), { nil: undefined })
    .map((each) => (each === undefined ? {} : withTable(new Array<number>(slotTableLength(endpoints)).fill(each))));

pluginContract(tokenLoadScorer, { testFile: import.meta.url });
scorerContract(tokenLoadScorer, { params, signals, request: evenRequest });
const better = lowerIsBetter(fc.nat(1200)).map(
  ([worse, better]) =>
    [
      { requests: 1, tokens: worse },
      { requests: 1, tokens: better },
    ] as const,
);
monotoneIn(tokenLoadScorer, improvement(IN_FLIGHT_LOAD.from(), better), { params, signals, request: evenRequest });
monotoneIn(
  tokenLoadScorer,
  {
    name: "prefix match",
    request: (endpoints, index) =>
      fc.tuple(fc.nat(800), fc.nat(800), fc.nat(800)).map(([a, b, rest]) => {
        const withUncached = (uncached: number): RequestOptions => {
          const table = new Array<number>(slotTableLength(endpoints)).fill(rest);
          table[endpoints[index]!.slot] = uncached;
          return withTable(table);
        };
        return [withUncached(Math.max(a, b)), withUncached(Math.min(a, b))];
      }),
  },
  { params, signals },
);

test.each([
  // Source: spec scheduling-plugins C4.
  { name: "nothing to compute: 1", tokens: [0], scores: [1] },
  { name: "linear down to the threshold", tokens: [0, 250, 1000], scores: [1, 0.75, 0] },
  { name: "0 beyond the threshold", tokens: [5000, Number.POSITIVE_INFINITY], scores: [0, 0] },
  { name: "unknown scores 0 while another is known", tokens: [500, Number.NaN], scores: [0.5, 0] },
  { name: "below 0 is unknown", tokens: [500, -1], scores: [0.5, 0] },
  { name: "all score 1 when none is known", tokens: [Number.NaN, Number.NaN], scores: [1, 1] },
])("$name", ({ tokens, scores }) => {
  const out = new Float64Array(tokens.length);
  scoreTokenLoad(Float64Array.from(tokens), out, 1000);
  expect([...out]).toEqual(scores);
});

function scores(request: RequestOptions, options: unknown = params, producer?: string): number[] {
  const { instance } = buildPlugin(tokenLoadScorer, { params: options });
  const endpoint = (slot: number, inFlight: number) =>
    buildEndpoint(slot, { attributes: [[IN_FLIGHT_LOAD.from(producer), { requests: 1, tokens: inFlight }, 0]] });
  const out = new Float64Array(3);
  instance.score!(buildRequest({ nowMs: 1e9, ...request }), [endpoint(2, 0), endpoint(0, 500), endpoint(5, 250)], out);
  return [...out];
}

test("the request's own tokens count with those in flight, by slot and at any age", () => {
  expect(scores(withTable([250, 0, 100, 0, 0, 0]))).toEqual([0.9, 0.25, 0.75]);
});

test("without a table only what is in flight counts", () => {
  expect(scores({})).toEqual([1, 0.5, 0.75]);
});

test("an endpoint whose slot says nothing is unknown", () => {
  expect(scores(withTable([0, 0, Number.NaN]))).toEqual([0, 0.5, 0]);
});

test("a count below 0 is unknown, whatever is added to it", () => {
  expect(scores(withTable([-100, 0, 100, 0, 0, 0]))).toEqual([0.9, 0, 0.75]);
  const { instance } = buildPlugin(tokenLoadScorer, { params });
  const below = buildEndpoint(0, { attributes: [[IN_FLIGHT_LOAD.from(), { requests: 1, tokens: -1 }, 0]] });
  const known = buildEndpoint(1, { attributes: [[IN_FLIGHT_LOAD.from(), { requests: 1, tokens: 500 }, 0]] });
  const out = new Float64Array(2);
  instance.score!(buildRequest({ nowMs: 1e9, ...withTable([300, 0]) }), [below, known], out);
  expect([...out]).toEqual([0, 0.5]);
});

test("counts and tokens are those of the producer that is named", () => {
  const options = { ...params, inFlightLoadProducerName: "far" };
  const table = Float64Array.of(250, 0, 100, 0, 0, 0);
  const request: RequestOptions = { attributes: [[UNCACHED_REQUEST_TOKENS.from("far"), table]] };
  expect(scores(request, options, "far")).toEqual([0.9, 0.25, 0.75]);
  expect(scores(request, params, "far")).toEqual([1, 1, 1]);
});

test.each([0, -7, undefined])("a queueThresholdTokens of %s counts as 4194304", (queueThresholdTokens) => {
  expect(scores({}, { queueThresholdTokens })).toEqual([1, 1 - 500 / 4_194_304, 1 - 250 / 4_194_304]);
});

test.each([{ queueThresholdTokens: 1.5 }, { inFlightLoadProducerName: 1 }, { queueThreshold: 1 }])(
  "%j is refused",
  (refused) => {
    expect(() => buildPlugin(tokenLoadScorer, { params: refused })).toThrow(Object.keys(refused)[0]);
  },
);
