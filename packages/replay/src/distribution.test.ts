import fc from "fast-check";
import { expect, test } from "vitest";
import { distribution, mean, median } from "./distribution.ts";

test("percentiles are values that so many per cent do not exceed", () => {
  const values = Array.from({ length: 200 }, (_, i) => 200 - i);
  expect(distribution(values)).toEqual({ mean: 100.5, p50: 100, p90: 180, p99: 198 });
  expect(distribution([3])).toEqual({ mean: 3, p50: 3, p90: 3, p99: 3 });
  expect(distribution([])).toEqual({ mean: 0, p50: 0, p90: 0, p99: 0 });
});

test("a percentile is one of the values, and the order of values does not matter", () => {
  fc.assert(
    fc.property(fc.array(fc.nat(1000), { minLength: 1, maxLength: 50 }), (values) => {
      const { p50, p90, p99 } = distribution(values);
      for (const [percent, value] of [
        [50, p50],
        [90, p90],
        [99, p99],
      ] as const) {
        expect(values).toContain(value);
        expect(values.filter((each) => each <= value).length * 100).toBeGreaterThanOrEqual(percent * values.length);
        expect(values.filter((each) => each < value).length * 100).toBeLessThan(percent * values.length);
      }
      expect(distribution(values.toReversed())).toEqual(distribution(values.toSorted((a, b) => a - b)));
    }),
  );
});

test("mean and median of few values", () => {
  expect([mean([]), mean([1, 2, 6])]).toEqual([0, 3]);
  expect([median([5]), median([1, 9]), median([9, 1, 2]), median([4, 1, 3, 2])]).toEqual([5, 5, 2, 2.5]);
});
