import {
  buildEndpoint,
  buildPlugin,
  buildRequest,
  pickerContract,
  pluginContract,
  seededRandom,
} from "@pointsman/testkit";
import { describe, expect, test } from "vitest";
import randomPicker from "./index.ts";
import { drawToFront } from "./random-picker.ts";

pluginContract(randomPicker, { testFile: import.meta.url });
describe("one endpoint", () => pickerContract(randomPicker));
describe("three endpoints", () => pickerContract(randomPicker, { params: { maxNumOfEndpoints: 3 }, targets: 3 }));

test.each([0, -5])("maxNumOfEndpoints %i counts as 1", (maxNumOfEndpoints) => {
  const { instance } = buildPlugin(randomPicker, { params: { maxNumOfEndpoints } });
  const endpoints = [buildEndpoint(0), buildEndpoint(1)];
  expect(instance.pick!(buildRequest(), endpoints, new Float64Array(2))).toHaveLength(1);
});

test("each endpoint is picked equally often, whatever its total", () => {
  const { instance } = buildPlugin(randomPicker, { seed: 3 });
  const endpoints = [0, 1, 2, 3].map((slot) => buildEndpoint(slot));
  const totals = Float64Array.from([100, 0, -1, Number.NaN]);
  const counts = new Map<unknown, number>();
  for (let i = 0; i < 8000; i++) {
    const { id } = instance.pick!(buildRequest(), endpoints, totals)[0]!;
    counts.set(id, (counts.get(id) ?? 0) + 1);
  }
  expectEven(counts, 4, 8000);
});

test("each order of several endpoints comes up equally often", () => {
  const random = seededRandom(11);
  const order = Uint32Array.from([2, 0, 1, 3]);
  const counts = new Map<unknown, number>();
  for (let i = 0; i < 12_000; i++) {
    drawToFront(order, 2, random);
    const drawn = `${order[0]},${order[1]}`;
    counts.set(drawn, (counts.get(drawn) ?? 0) + 1);
  }
  expectEven(counts, 12, 12_000);
  expect([...order].toSorted()).toEqual([0, 1, 2, 3]);
});

/** Five standard deviations of a count around an even share. */
function expectEven(counts: ReadonlyMap<unknown, number>, outcomes: number, draws: number): void {
  const share = 1 / outcomes;
  expect(counts.size).toBe(outcomes);
  for (const count of counts.values()) {
    expect(Math.abs(count - draws * share)).toBeLessThan(5 * Math.sqrt(draws * share * (1 - share)));
  }
}
