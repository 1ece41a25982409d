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
import maxScorePicker from "./index.ts";
import { indexOfMax, rankTop, shuffleOrder } from "./max-score-picker.ts";

pluginContract(maxScorePicker, { testFile: import.meta.url });
describe("one endpoint", () => pickerContract(maxScorePicker));
describe("three endpoints", () => pickerContract(maxScorePicker, { params: { maxNumOfEndpoints: 3 }, targets: 3 }));

const numbers = fc.oneof(fc.integer({ min: -3, max: 3 }), fc.constant(Number.NaN));
const lists = fc.array(numbers, { minLength: 1, maxLength: 12 }).map((totals) => Float64Array.from(totals));
const rank = (total: number): number => (Number.isNaN(total) ? Number.NEGATIVE_INFINITY : total);

test.each([0, -5])("maxNumOfEndpoints %i counts as 1", (maxNumOfEndpoints) => {
  expect(pick([1, 3, 2], { maxNumOfEndpoints })).toEqual([1]);
});

test("picks the highest total", () => {
  expect(pick([1, 3, 2])).toEqual([1]);
});

test("returns the next best as fallbacks, best first", () => {
  expect(pick([1, 3, 2, 0], { maxNumOfEndpoints: 3 })).toEqual([1, 2, 0]);
});

test("returns all when there are fewer", () => {
  expect(pick([1, 3], { maxNumOfEndpoints: 10 })).toEqual([1, 0]);
});

test("any total is better than NaN", () => {
  expect(pick([Number.NaN, -1, Number.NaN], { maxNumOfEndpoints: 1 })).toEqual([1]);
  expect(pick([Number.NaN, -1, Number.NaN], { maxNumOfEndpoints: 2 })[0]).toBe(1);
});

test("equal totals are picked equally often, alone and as the order of fallbacks", () => {
  const totals = Float64Array.from([5, 1, 5, 5, Number.NaN]);
  const random = seededRandom(7);
  const first = new Map<number, number>();
  for (let i = 0; i < 6000; i++) {
    const index = indexOfMax(totals, random);
    first.set(index, (first.get(index) ?? 0) + 1);
  }
  expectEven(first, 3, 6000);

  const orders = new Map<string, number>();
  const order = new Uint32Array(5);
  const chosen = new Uint32Array(3);
  for (let i = 0; i < 6000; i++) {
    shuffleOrder(order, random);
    rankTop(totals, order, chosen);
    orders.set(chosen.join(), (orders.get(chosen.join()) ?? 0) + 1);
  }
  expectEven(orders, 6, 6000);
});

test("the index of the largest total is found whatever stands around it", () => {
  fc.assert(
    fc.property(lists, fc.nat(), (totals, seed) => {
      const index = indexOfMax(totals, seededRandom(seed));
      expect(rank(totals[index]!)).toBe(Math.max(...Array.from(totals, rank)));
    }),
  );
});

test("ranks like a full sort", () => {
  fc.assert(
    fc.property(lists, fc.nat(), fc.nat(), (totals, seed, places) => {
      const order = new Uint32Array(totals.length);
      shuffleOrder(order, seededRandom(seed));
      const chosen = new Uint32Array(1 + (places % totals.length));
      rankTop(totals, order, chosen);
      const sorted = Array.from(order).sort((a, b) => {
        const [x, y] = [rank(totals[a]!), rank(totals[b]!)];
        return x === y ? 0 : y - x;
      });
      expect([...chosen]).toEqual(sorted.slice(0, chosen.length));
    }),
  );
});

test("one endpoint costs no random number where totals differ", () => {
  expect(
    indexOfMax(Float64Array.from([1, 2]), () => {
      throw new Error("asked for a random number");
    }),
  ).toBe(1);
});

function pick(totals: readonly number[], params?: { readonly maxNumOfEndpoints: number }): readonly number[] {
  const { instance } = buildPlugin(maxScorePicker, { params });
  const endpoints = totals.map((_, slot) => buildEndpoint(slot));
  return instance.pick!(buildRequest(), endpoints, Float64Array.from(totals)).map((endpoint) => endpoint.slot);
}

/** Five standard deviations of a count around an even share. */
function expectEven(counts: ReadonlyMap<unknown, number>, outcomes: number, draws: number): void {
  const share = 1 / outcomes;
  expect(counts.size).toBe(outcomes);
  for (const count of counts.values()) {
    expect(Math.abs(count - draws * share)).toBeLessThan(5 * Math.sqrt(draws * share * (1 - share)));
  }
}
