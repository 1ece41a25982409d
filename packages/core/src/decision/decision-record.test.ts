import fc from "fast-check";
import { expect, test } from "vitest";
import { buildEndpoint, buildRequest, named } from "../../test/testkit.ts";
import { defineAttribute } from "../attributes/attribute-key.ts";
import { KV_CACHE_USAGE, WAITING_QUEUE_SIZE } from "../attributes/metric-attributes.ts";
import {
  captureSignals,
  compactProfile,
  maxRecordedEndpoints,
  type ProfileTrace,
  summarizeScores,
} from "./decision-record.ts";

function profileOf(totals: readonly number[], winner: number | undefined): ProfileTrace {
  const candidates = totals.map((_, slot) => buildEndpoint(slot));
  const scores = [1, 2].map((factor) => Float64Array.from(totals, (total) => total * factor));
  return {
    profile: "default",
    filters: [],
    scorers: scores.map((values, i) => ({
      plugin: named({}, `scorer-${i}`),
      weight: i + 0.5,
      scores: values,
      durationMs: i,
    })),
    candidates,
    totals: Float64Array.from(totals),
    picker: named({}, "picker"),
    pickerDurationMs: 0,
    targets: winner === undefined ? [] : [candidates[winner]!],
    error: undefined,
  };
}

const total = fc.oneof(fc.double({ min: 0, max: 10, noNaN: true }), fc.constantFrom(1, 2));

test("a profile of up to the bound stays as it is", () => {
  const profile = profileOf(Array(maxRecordedEndpoints).fill(0.5), 3);
  const { candidates, totals, scorers } = profile;
  compactProfile(profile);
  expect(profile.candidates).toBe(candidates);
  expect(profile.totals).toBe(totals);
  expect(profile.scorers).toBe(scorers);
});

test("a profile that is cut tells how many it had, and what all scores come to where that is asked for", () => {
  const totals = Array.from({ length: 100 }, (_, i) => i / 100);
  const [plain, summed] = [profileOf(totals, 0), profileOf(totals, 0)];
  compactProfile(plain);
  compactProfile(summed, true);
  expect([plain.candidateCount, summed.candidateCount]).toEqual([100, 100]);
  expect(plain.scorers[0]).not.toHaveProperty("summary");
  expect(summed.scorers.map(({ summary }) => summary)).toEqual([
    { count: 100, max: 0.99, mean: expect.closeTo(0.495, 9) },
    { count: 100, max: 1.98, mean: expect.closeTo(0.99, 9) },
  ]);
  expect(summarizeScores(new Float64Array(0))).toEqual({ count: 0, max: 0, mean: 0 });
});

test("a larger profile keeps the best totals and the winner, with scores aligned", () => {
  fc.assert(
    fc.property(
      fc.array(total, { minLength: maxRecordedEndpoints + 1, maxLength: 80 }),
      fc.option(fc.nat(), { nil: undefined }),
      (totals, seed) => {
        const winner = seed === undefined ? undefined : seed % totals.length;
        const profile = profileOf(totals, winner);
        compactProfile(profile);
        const kept = profile.candidates.map(({ slot }) => slot);
        expect(new Set(kept).size).toBe(maxRecordedEndpoints);
        expect([...profile.totals]).toEqual(kept.map((slot) => totals[slot]));
        for (const [i, { scores, weight, durationMs }] of profile.scorers.entries()) {
          expect([...scores]).toEqual(kept.map((slot) => totals[slot]! * (i + 1)));
          expect([weight, durationMs]).toEqual([i + 0.5, i]);
        }
        if (winner !== undefined) expect(kept).toContain(winner);
        const lowestKept = Math.min(...kept.filter((slot) => slot !== winner).map((slot) => totals[slot]!));
        const dropped = totals.filter((_, slot) => !kept.includes(slot));
        expect(Math.max(...dropped)).toBeLessThanOrEqual(lowestKept);
      },
    ),
  );
});

test("signals are noted with values and ages; what was never written has no age", () => {
  const endpoints = [
    buildEndpoint(0, { attributes: [[WAITING_QUEUE_SIZE, 4, 900]] }),
    buildEndpoint(1, { attributes: [[KV_CACHE_USAGE, 0.5, 750]] }),
    buildEndpoint(2),
  ];
  const request = buildRequest();
  request.nowMs = 1000;
  const [queue, cache] = captureSignals(endpoints, [WAITING_QUEUE_SIZE, KV_CACHE_USAGE], request);
  expect(queue!.values).toEqual([4, undefined, undefined]);
  expect([...queue!.agesMs]).toEqual([100, Number.NaN, Number.NaN]);
  expect(cache!.name).toBe("KVCacheUsagePercent");
  expect([...cache!.agesMs]).toEqual([Number.NaN, 250, Number.NaN]);
});

test("what an attribute of the request says of each candidate is noted by name; NaN is unknown", () => {
  const endpoints = [buildEndpoint(2), buildEndpoint(0)];
  const type = defineAttribute<Float64Array>({
    dataType: "CostTable",
    scope: "request",
    defaultProducer: "some-producer",
    perEndpoint: (table, slot) => ({ costMs: table[slot], slot }),
  });
  const request = buildRequest();
  const capture = () => captureSignals(endpoints, [type.from()], request);
  expect(capture()).toEqual([]);
  request.attributes.set(type.from(), Float64Array.of(Number.NaN, 1, 7));
  expect(capture()).toEqual([
    { name: "CostTable.costMs", values: [7, undefined], agesMs: new Float64Array(2) },
    { name: "CostTable.slot", values: [2, 0], agesMs: new Float64Array(2) },
  ]);
});

test("a large profile keeps the endpoints with the largest totals, as sorting would", () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 50 }), { minLength: 33, maxLength: 300 }), (values) => {
      const endpoints = values.map((_, i) => buildEndpoint(i));
      const totals = Float64Array.from(values);
      const trace: ProfileTrace = {
        ...{ profile: "default", filters: [], scorers: [], candidates: endpoints, totals },
        ...{ picker: undefined, pickerDurationMs: 0, targets: [], error: undefined },
      };
      compactProfile(trace);
      const sorted = values.map((_, i) => i).sort((a, b) => values[b]! - values[a]! || a - b);
      expect(trace.candidates.map(({ slot }) => slot)).toEqual(sorted.slice(0, maxRecordedEndpoints));
      expect([...trace.totals]).toEqual(sorted.slice(0, maxRecordedEndpoints).map((i) => values[i]));
    }),
  );
});
