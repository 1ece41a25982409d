import { type Endpoint, EXPECTED_LATENCY, type ExpectedLatency } from "@pointsman/core";
import {
  buildEndpoint,
  buildPlugin,
  buildRequest,
  pluginContract,
  type RequestOptions,
  scorerContract,
} from "@pointsman/testkit";
import fc from "fast-check";
import { expect, test } from "vitest";
import { scoreCosts } from "./expected-latency-scorer.ts";
import expectedLatencyScorer from "./index.ts";

const parts = ["ttftMs", "queueMs", "memoryMs", "prefillMs", "sparedMs", "decodeMs", "harmMs", "evictMs"] as const;
type Table = Readonly<Partial<Record<(typeof parts)[number], readonly number[]>>>;

/** A table by slot; parts that are not given cost nothing. */
function expectedOf(table: Table, slots: number, usualEndToEndRatio: number = Number.NaN): ExpectedLatency {
  const of = (part: (typeof parts)[number]): Float64Array =>
    table[part] === undefined ? new Float64Array(slots) : Float64Array.from(table[part]);
  return {
    ttftMs: of("ttftMs"),
    queueMs: of("queueMs"),
    memoryMs: of("memoryMs"),
    prefillMs: of("prefillMs"),
    sparedMs: of("sparedMs"),
    decodeMs: of("decodeMs"),
    harmMs: of("harmMs"),
    evictMs: of("evictMs"),
    usualEndToEndRatio,
  };
}

function scores(
  table: Table,
  slots: number,
  params: object = {},
  endpoints = pool(slots),
  ratio: number = Number.NaN,
): number[] {
  const { instance } = buildPlugin(expectedLatencyScorer, { params });
  const out = new Float64Array(endpoints.length);
  const attributes = [[EXPECTED_LATENCY.from(), expectedOf(table, slots, ratio)]] as const;
  instance.score!(buildRequest({ attributes }), endpoints, out);
  return [...out];
}

const pool = (count: number): Endpoint[] => Array.from({ length: count }, (_, slot) => buildEndpoint(slot));

const cost = fc.oneof(
  { weight: 4, arbitrary: fc.double({ min: 0, max: 1e6, noNaN: true }) },
  { weight: 1, arbitrary: fc.constantFrom(Number.NaN, 0, Infinity) },
);
const maxSlot = 41;
const table = fc.float64Array({ minLength: maxSlot, maxLength: maxSlot, min: 0, noNaN: false });
const request = (): fc.Arbitrary<RequestOptions> =>
  fc
    .record({
      ...{ ttftMs: table, queueMs: table, memoryMs: table, prefillMs: table },
      ...{ sparedMs: table, decodeMs: table, harmMs: table, evictMs: table },
      usualEndToEndRatio: cost,
    })
    .map((expected) => ({ attributes: [[EXPECTED_LATENCY.from(), expected]] }));

pluginContract(expectedLatencyScorer, { testFile: import.meta.url });
scorerContract(expectedLatencyScorer, { request });

test("the least cost scores 1, twice as much one half, ten times as much a tenth", () => {
  const costs = Float64Array.of(400, 200, 2000, 200);
  scoreCosts(costs);
  expect([...costs]).toEqual([0.5, 1, 0.1, 1]);
});

test("an unknown cost scores 0 among known ones; all unknown, or none known to end, all score 1", () => {
  const [some, none, infinite] = [
    Float64Array.of(Number.NaN, 5, Infinity),
    Float64Array.of(Number.NaN, Number.NaN),
    Float64Array.of(Infinity, Number.NaN),
  ];
  for (const costs of [some, none, infinite]) scoreCosts(costs);
  expect([...some]).toEqual([0, 1, 0]);
  expect([...none]).toEqual([1, 1]);
  expect([...infinite]).toEqual([1, 1]);
});

test("a cost of nothing is the least there is", () => {
  const costs = Float64Array.of(0, 10, 0);
  scoreCosts(costs);
  expect([...costs]).toEqual([1, 0, 1]);
});

test("the less it costs, the higher it scores, always from 0 to 1", () => {
  fc.assert(
    fc.property(fc.array(cost, { minLength: 1, maxLength: 20 }), (given) => {
      const out = Float64Array.from(given);
      scoreCosts(out);
      for (const [i, score] of out.entries()) {
        expect(score).toBeGreaterThanOrEqual(0);
        expect(score).toBeLessThanOrEqual(1);
        for (const [j, other] of out.entries()) {
          if (given[i]! < given[j]!) expect(score).toBeGreaterThanOrEqual(other);
        }
      }
      expect(Math.max(...out)).toBe(1);
    }),
  );
});

test("parts count as much as their weights say", () => {
  const parts = { ttftMs: [100, 200], decodeMs: [600, 0], harmMs: [0, 40], evictMs: [0, 3] };
  // 6 x 100 + 600 = 1200 against 6 x 200 + 1.5 x 40 + 20 x 3 = 1320.
  expect(scores(parts, 2)).toEqual([1, 1200 / 1320]);
  const only = { ttftWeight: 0, decodeWeight: 0, harmWeight: 1, evictWeight: 0 };
  expect(scores(parts, 2, only)).toEqual([1, 0]);
  expect(scores(parts, 2, { ...only, decodeWeight: 1 })).toEqual([40 / 600, 1]);
});

test.each([
  [Number.NaN, {}, 6],
  [2, {}, 6],
  [40, {}, 20],
  [5000, {}, 300],
  [Infinity, {}, 300],
  [5000, { ttftWeight: 6, maxTtftWeight: 6 }, 6],
  [40, { ttftWeight: 500 }, 500],
  [5000, { ttftWeight: 500 }, 500],
  [700, { ttftWeight: 200 }, 300],
])(
  "where answers take %f times as long as their first tokens, with %o, a millisecond to it counts as %d",
  (ratio, params, weight) => {
    const parts = { ttftMs: [1, 0], decodeMs: [0, 1] };
    expect(scores(parts, 2, params, pool(2), ratio)).toEqual([1 / weight, 1]);
  },
);

test("queue, memory and prefill are parts of the time to first token and count once, in it", () => {
  expect(scores({ ttftMs: [100, 100], queueMs: [90, 0], memoryMs: [0, 90], prefillMs: [10, 10] }, 2)).toEqual([1, 1]);
});

test("what is computed for later requests is no cost of this one's, and never less than nothing", () => {
  expect(scores({ ttftMs: [100, 500], sparedMs: [0, 450] }, 2)).toEqual([0.5, 1]);
  expect(scores({ ttftMs: [100, 500], sparedMs: [0, 900], decodeMs: [0, 600] }, 2)).toEqual([1, 1]);
});

test("each candidate is scored by its slot, and one beyond the table is unknown", () => {
  const endpoints = [buildEndpoint(2), buildEndpoint(0), buildEndpoint(7)];
  expect(scores({ ttftMs: [100, 1, 400] }, 3, {}, endpoints)).toEqual([0.25, 1, 0]);
});

test("the estimate is that of the producer that is named", () => {
  const { instance } = buildPlugin(expectedLatencyScorer, { params: { expectedLatencyProducerName: "mine" } });
  const estimate = expectedOf({ ttftMs: [100, 50] }, 2);
  const out = new Float64Array(2);
  instance.score!(buildRequest({ attributes: [[EXPECTED_LATENCY.from("mine"), estimate]] }), pool(2), out);
  expect([...out]).toEqual([0.5, 1]);
  instance.score!(buildRequest({ attributes: [[EXPECTED_LATENCY.from(), estimate]] }), pool(2), out);
  expect([...out]).toEqual([1, 1]);
});

test.each([{ ttftWeight: -1 }, { harmWeight: 1001 }, { evictWeight: Number.NaN }])("%o is refused", (params) => {
  expect(() => buildPlugin(expectedLatencyScorer, { params })).toThrow(Object.keys(params)[0]!);
});
