import type { Endpoint } from "@pointsman/core";
import { buildEndpoint } from "@pointsman/testkit";
import { expect, test } from "vitest";
import { type LatencyTableOptions, latencyTables } from "./latency-tables.ts";

const [a, b] = [buildEndpoint(2), buildEndpoint(0)];
const predictions = [
  { ttftMs: 100, tpotMs: 20 },
  { ttftMs: 300, tpotMs: 40 },
];

const options = (slos: { ttft?: number; tpot?: number }, more: Partial<LatencyTableOptions> = {}) => ({
  slos: { ttftMs: slos.ttft, tpotMs: slos.tpot, unreadable: [] },
  sloBufferFactor: 1,
  hasTpot: () => true,
  tightestTpotSloMs: () => undefined,
  dispatchedRequests: ({ slot }: Endpoint) => slot + 1,
  ...more,
});

const known = (table: { readonly [slot: number]: number | undefined }) => [table[2], table[0]];

test("headroom is objective minus prediction, by slot; what was not predicted is unknown", () => {
  const tables = latencyTables([a, b], [a, b], predictions, options({ ttft: 200, tpot: 30 }));
  expect([known(tables.ttftMs), known(tables.tpotMs)]).toEqual([
    [100, 300],
    [20, 40],
  ]);
  expect([known(tables.ttftHeadroomMs), known(tables.tpotHeadroomMs)]).toEqual([
    [100, -100],
    [10, -10],
  ]);
  expect([known(tables.ttftValid), known(tables.tpotValid), known(tables.dispatchedRequests)]).toEqual([
    [1, 0],
    [1, 0],
    [3, 1],
  ]);
  expect([tables.ttftMs[1], tables.ttftMs.length]).toEqual([Number.NaN, 3]);
});

test("without objectives nothing is valid and headroom is below 0", () => {
  const tables = latencyTables([a, b], [a, b], predictions, options({}));
  expect([known(tables.ttftHeadroomMs), known(tables.tpotHeadroomMs)]).toEqual([
    [-100, -300],
    [-20, -40],
  ]);
  expect([...tables.ttftValid, ...tables.tpotValid]).toEqual([0, 0, 0, 0, 0, 0]);
});

test("the limit per token is the tighter one of the request's and those that run, times the buffer", () => {
  const tables = latencyTables(
    [a, b],
    [a, b],
    predictions,
    options({ tpot: 100 }, { sloBufferFactor: 0.5, tightestTpotSloMs: ({ slot }) => (slot === 2 ? 30 : 500) }),
  );
  expect(known(tables.tpotHeadroomMs)).toEqual([-5, 10]);
  expect(known(tables.tpotValid)).toEqual([0, 1]);
});

test("where time per token means nothing it is met, with headroom 0", () => {
  const tables = latencyTables(
    [a, b],
    [a, b],
    predictions,
    options({ tpot: 1 }, { hasTpot: ({ slot }) => slot === 0 }),
  );
  expect([known(tables.tpotHeadroomMs), known(tables.tpotValid)]).toEqual([
    [0, -39],
    [1, 0],
  ]);
});

test("an endpoint that was not asked for, or whose prediction is no number, has none", () => {
  const tables = latencyTables([a, b], [b], [{ ttftMs: Number.NaN, tpotMs: 1 }], options({ ttft: 200 }));
  expect([...tables.ttftMs]).toEqual([Number.NaN, Number.NaN, Number.NaN]);
  expect([...tables.ttftValid]).toEqual([0, 0, 0]);
  expect(known(tables.dispatchedRequests)).toEqual([3, 1]);
});
