import fc from "fast-check";
import { expect, test } from "vitest";
import { RunningMean } from "./running-mean.ts";

test("is what was assumed before the first sample, then the mean of the samples alone", () => {
  const mean = new RunningMean(200, 50);
  expect(mean.value).toBe(200);
  for (const sample of [10, 20, 60]) mean.add(sample);
  expect(mean.value).toBeCloseTo(30, 9);
  expect(mean.samples).toBe(3);
});

test("follows a change after as many samples as it remembers", () => {
  const mean = new RunningMean(0, 50);
  for (let i = 0; i < 1000; i++) mean.add(100);
  for (let i = 0; i < 150; i++) mean.add(300);
  expect(mean.value).toBeGreaterThan(285);
  expect(mean.value).toBeLessThan(300);
});

test("stays between its least and its largest sample, whatever is mixed in", () => {
  const samples = fc.array(
    fc.oneof(fc.integer({ min: -1000, max: 1000 }), fc.constantFrom(Number.NaN, Infinity, -Infinity)),
  );
  fc.assert(
    fc.property(samples, (all) => {
      const mean = new RunningMean(7, 3);
      for (const sample of all) mean.add(sample);
      const finite = all.filter(Number.isFinite);
      expect(mean.samples).toBe(finite.length);
      if (finite.length === 0) expect(mean.value).toBe(7);
      else {
        expect(mean.value).toBeGreaterThanOrEqual(Math.min(...finite) - 1e-9);
        expect(mean.value).toBeLessThanOrEqual(Math.max(...finite) + 1e-9);
      }
    }),
  );
});
