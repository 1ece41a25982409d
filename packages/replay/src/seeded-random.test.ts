import { expect, test } from "vitest";
import { SeededRandom } from "./seeded-random.ts";

const draw = (random: SeededRandom): number[] => Array.from({ length: 2000 }, () => random.uniform());
const meanOf = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;

test("equal seeds give equal numbers; another seed or stream gives others", () => {
  expect(draw(new SeededRandom(7, 1))).toEqual(draw(new SeededRandom(7, 1)));
  expect(draw(new SeededRandom(7, 1))).not.toEqual(draw(new SeededRandom(8, 1)));
  expect(draw(new SeededRandom(7, 1))).not.toEqual(draw(new SeededRandom(7, 2)));
  expect(draw(new SeededRandom(7 + 2 ** 32))).not.toEqual(draw(new SeededRandom(7)));
});

test("numbers are spread evenly over their range", () => {
  const random = new SeededRandom(1);
  const uniform = draw(random);
  expect(Math.min(...uniform)).toBeGreaterThanOrEqual(0);
  expect(Math.max(...uniform)).toBeLessThan(1);
  expect(meanOf(uniform)).toBeCloseTo(0.5, 1);
  const counts = new Map<number, number>();
  for (let i = 0; i < 4000; i++) {
    const value = random.between(3, 6);
    counts.set(value, (counts.get(value) ?? 0) + 1);
  }
  expect([...counts.keys()].sort()).toEqual([3, 4, 5, 6]);
  expect(Math.min(...counts.values())).toBeGreaterThan(900);
  expect(meanOf(Array.from({ length: 4000 }, () => random.exponential()))).toBeCloseTo(1, 1);
});
