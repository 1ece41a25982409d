import { seededRandom } from "@pointsman/testkit";
import fc from "fast-check";
import { expect, test } from "vitest";
import { LinearFit } from "./linear-fit.ts";

const prior = [15, 0.03, 1] as const;
const memory = 500;
const newFit = (): LinearFit => new LinearFit(prior, 3, memory);

/** Learns from samples of a relation whose features vary, with an error of up to `noise` of the value. */
function teach(
  fit: LinearFit,
  truth: readonly number[],
  samples: number,
  options: { readonly noise?: number; readonly seed?: number; readonly outlierShare?: number } = {},
): void {
  const { noise = 0.1, seed = 1, outlierShare = 0 } = options;
  const random = seededRandom(seed);
  for (let i = 0; i < samples; i++) {
    const tokens = 100 + random() * 20_000;
    const features = [1, tokens, (tokens * tokens) / 2e6];
    const exact = features.reduce((sum, feature, k) => sum + feature * truth[k]!, 0);
    const isOutlier = random() < outlierShare;
    const value = exact * (1 + noise * (2 * random() - 1)) * (isOutlier ? 30 : 1);
    fit.learn(features, value, 5 + 0.1 * value);
  }
}

function expectNear(fit: LinearFit, truth: readonly number[], share: number): void {
  for (const tokens of [500, 5000, 20_000]) {
    const features = [1, tokens, (tokens * tokens) / 2e6];
    const exact = features.reduce((sum, feature, k) => sum + feature * truth[k]!, 0);
    expect(Math.abs(fit.at(features) / exact - 1), `${tokens} tokens`).toBeLessThan(share);
  }
}

const slower = [30, 0.09, 4];

test("before the first sample, the relation is the assumed one", () => {
  expect([...newFit().coefficients]).toEqual([...prior]);
  expect(newFit().at([1, 1000, 2])).toBeCloseTo(15 + 30 + 2, 9);
});

test("finds a relation in noisy samples, far from what was assumed", () => {
  const fit = newFit();
  teach(fit, slower, 300);
  expectNear(fit, slower, 0.05);
  expect(fit.samples).toBe(300);
});

test("one sample in twenty being 30 times too long moves the relation by less than a fifth", () => {
  const fit = newFit();
  teach(fit, slower, 1000, { outlierShare: 0.05 });
  expectNear(fit, slower, 0.2);
});

test("forgets: after a change to three times the cost, twelve times its memory is enough", () => {
  const fit = newFit();
  teach(fit, [15, 0.03, 1], 2000);
  teach(fit, slower, 12 * memory, { seed: 2 });
  expectNear(fit, slower, 0.1);
});

test("no coefficient falls below 0 and every number stays finite, whatever is measured", () => {
  const number = fc.oneof(
    { weight: 3, arbitrary: fc.double({ min: 0, max: 1e5, noNaN: true }) },
    { weight: 1, arbitrary: fc.double() },
    { weight: 1, arbitrary: fc.constantFrom(0, 1e9, -1e9, 1e308, Number.NaN, Infinity) },
  );
  fc.assert(
    fc.property(fc.array(fc.tuple(number, number, number, number), { maxLength: 60 }), (samples) => {
      const fit = newFit();
      for (const [a, b, value, error] of samples) fit.learn([1, a, b], value, error);
      for (const coefficient of fit.coefficients) {
        expect(coefficient).toBeGreaterThanOrEqual(0);
        expect(coefficient).toBeLessThan(Infinity);
      }
      // And it still learns.
      teach(fit, slower, 20 * memory);
      expectNear(fit, slower, 0.25);
    }),
    { numRuns: 100 },
  );
});

test("coefficients that samples would have below 0 do not raise the others: the relation stays near what is measured", () => {
  const fit = newFit();
  const random = seededRandom(7);
  // Features that rise together, and a relation that is steeper than any of them: its best fit has a negative one.
  for (let i = 0; i < 3000; i++) {
    const tokens = 500 + 100 * random();
    const late = random() < 0.1 ? 80 * random() : 0;
    fit.learn([1, tokens, tokens * 0.0122], 60 + 0.4 * (tokens - 550) + 20 * random() + late, 11);
  }
  expect(fit.at([1, 550, 550 * 0.0122])).toBeGreaterThan(60);
  expect(fit.at([1, 550, 550 * 0.0122])).toBeLessThan(80);
});

test.each([
  ["a value that is no number", [1, 1, 1], Number.NaN, 1],
  ["an infinite value", [1, 1, 1], Infinity, 1],
  ["a feature that is no number", [1, Number.NaN, 1], 1, 1],
  ["a huge feature", [1, 1e10, 1], 1, 1],
  ["no usual error", [1, 1, 1], 1, 0],
])("%s is passed over", (_, features, value, usualError) => {
  const fit = newFit();
  fit.learn(features, value, usualError);
  expect(fit.samples).toBe(0);
  expect([...fit.coefficients]).toEqual([...prior]);
});

test("a million equal samples leave it able to learn from others without a leap", () => {
  const fit = newFit();
  for (let i = 0; i < 1_000_000; i++) fit.learn([1, 1000, 0.5], 45.5, 10);
  expect(fit.at([1, 1000, 0.5])).toBeCloseTo(45.5, 0);
  fit.learn([1, 1200, 0.72], 60, 11);
  for (const coefficient of fit.coefficients) expect(coefficient).toBeLessThan(100);
  teach(fit, slower, 30 * memory);
  expectNear(fit, slower, 0.15);
});

test("what long prompts cost stays known while thousands of short ones come, some of them far too late", () => {
  const fit = newFit();
  const random = seededRandom(5);
  const teachOne = (tokens: number, cached: number): void => {
    const features = [1, tokens, (tokens * (cached + tokens / 2)) / 1e6];
    const late = random() < 0.05 ? 50 + random() * 600 : 0;
    const value = 20 + 0.0286 * tokens + 1.19 * features[2]! + random() * 8 + late;
    fit.learn(features, value, 5 + 0.1 * value);
  };
  for (let i = 0; i < 150; i++) teachOne(10_000, 0);
  for (let i = 0; i < 20_000; i++) teachOne(500, 9500);
  expect(fit.at([1, 10_000, 50]) / (20 + 286 + 59.5)).toBeCloseTo(1, 1);
  expect(fit.at([1, 500, 4.875]) / (20 + 14.3 + 5.8)).toBeCloseTo(1, 0);
});
