import { expect, test } from "vitest";
import { scoreFewest } from "./score-fewest.ts";

test.each([
  { name: "linear between the extremes", given: [0, 5, 10], scores: [1, 0.5, 0] },
  { name: "all 1 when all are equal", given: [3, 3], scores: [1, 1] },
  { name: "unknown scores 0 while another is known", given: [7, Number.NaN], scores: [1, 0] },
  { name: "unknown does not stretch the range", given: [2, Number.NaN, 4], scores: [1, 0, 0] },
  { name: "all 1 when none is known", given: [Number.NaN, Number.NaN], scores: [1, 1] },
  { name: "numbers that are no count count as unknown", given: [-1, Number.POSITIVE_INFINITY, 4], scores: [0, 0, 1] },
])("$name", ({ given, scores }) => {
  const out = new Float64Array(given.length);
  scoreFewest(Float64Array.from(given), out);
  expect([...out]).toEqual(scores);
});
