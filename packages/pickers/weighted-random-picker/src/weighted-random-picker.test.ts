import {
  buildEndpoint,
  buildPlugin,
  buildRequest,
  pickerContract,
  pluginContract,
  seededRandom,
} from "@pointsman/testkit";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import weightedRandomPicker from "./index.ts";
import { drawKey, drawMany, drawOne } from "./weighted-random-picker.ts";

pluginContract(weightedRandomPicker, { testFile: import.meta.url });
describe("one endpoint", () => pickerContract(weightedRandomPicker));
describe("three endpoints", () =>
  pickerContract(weightedRandomPicker, { params: { maxNumOfEndpoints: 3 }, targets: 3 }));

const draws = 20_000;

test.each([0, -5])("maxNumOfEndpoints %i counts as 1", (maxNumOfEndpoints) => {
  const { instance } = buildPlugin(weightedRandomPicker, { params: { maxNumOfEndpoints } });
  const endpoints = [buildEndpoint(0), buildEndpoint(1)];
  expect(instance.pick!(buildRequest(), endpoints, new Float64Array(2))).toHaveLength(1);
});

test.each([
  { name: "in proportion to the score", totals: [1, 2, 5], shares: [1 / 8, 2 / 8, 5 / 8] },
  { name: "in proportion also for tiny scores", totals: [1e-4, 3e-4], shares: [0.25, 0.75] },
  { name: "in proportion also for huge scores", totals: [1e300, 3e300], shares: [0.25, 0.75] },
  {
    name: "in proportion also where their sum is beyond all numbers",
    totals: [1.5e308, 0.5e308, 1e308],
    shares: [0.5, 1 / 6, 1 / 3],
  },
  { name: "never without a score while one has a score", totals: [0, 1e-300, -5, Number.NaN], shares: [0, 1, 0, 0] },
  { name: "equally often when none has a score", totals: [0, -1, 0, -2], shares: [0.25, 0.25, 0.25, 0.25] },
])("picks $name", ({ totals, shares }) => {
  const random = seededRandom(5);
  const counts = totals.map(() => 0);
  for (let i = 0; i < draws; i++) {
    const index = drawOne(Float64Array.from(totals), random);
    counts[index] = counts[index]! + 1;
  }
  counts.forEach((count, i) => {
    expectShare(count, shares[i]!);
  });
});

test("further endpoints are drawn in proportion among those that remain", () => {
  const random = seededRandom(9);
  const totals = Float64Array.from([1, 2, 5]);
  const keys = new Float64Array(3);
  const chosen = new Uint32Array(2);
  const counts = new Map<string, number>();
  for (let i = 0; i < draws; i++) {
    drawMany(totals, random, keys, chosen);
    counts.set(chosen.join(), (counts.get(chosen.join()) ?? 0) + 1);
  }
  for (const [first, second] of [
    [0, 1],
    [0, 2],
    [1, 0],
    [1, 2],
    [2, 0],
    [2, 1],
  ] as const) {
    const share = (totals[first]! / 8) * (totals[second]! / (8 - totals[first]!));
    expectShare(counts.get(`${first},${second}`) ?? 0, share);
  }
});

test("endpoints without a score fill the places that remain, in random order", () => {
  const { instance } = buildPlugin(weightedRandomPicker, { params: { maxNumOfEndpoints: 3 }, seed: 2 });
  const endpoints = [0, 1, 2, 3].map((slot) => buildEndpoint(slot));
  const totals = Float64Array.from([0, 0, 1, 0]);
  const counts = new Map<number, number>();
  for (let i = 0; i < draws; i++) {
    const [first, second] = instance.pick!(buildRequest(), endpoints, totals);
    expect(first!.slot).toBe(2);
    counts.set(second!.slot, (counts.get(second!.slot) ?? 0) + 1);
  }
  for (const slot of [0, 1, 3]) expectShare(counts.get(slot) ?? 0, 1 / 3);
});

test("any endpoint with a score comes before any without, whatever the random numbers", () => {
  const uniform = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
  const scores = fc.double({ min: Number.MIN_VALUE, noNaN: true });
  const nothing = fc.oneof(fc.double({ max: 0, noNaN: true }), fc.constant(Number.NaN));
  fc.assert(
    fc.property(scores, nothing, uniform, uniform, (score, none, one, other) => {
      expect(drawKey(score, () => one)).toBeGreaterThan(drawKey(none, () => other));
    }),
  );
});

test("the last endpoint with a score takes what rounding leaves over", () => {
  const totals = Float64Array.from([0.1, 0.2, 0.3, 0, Number.NaN]);
  expect(drawOne(totals, () => 1 - Number.EPSILON / 2)).toBe(2);
  expect(drawOne(totals, () => 0)).toBe(0);
});

/** Five standard deviations of a count around its share of all draws. */
function expectShare(count: number, share: number): void {
  expect(Math.abs(count - draws * share)).toBeLessThanOrEqual(5 * Math.sqrt(draws * share * (1 - share)));
}
