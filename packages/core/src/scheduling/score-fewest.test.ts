import fc from "fast-check";
import { expect, test } from "vitest";
import { scoreFewest } from "./score-fewest.ts";

function scores(counts: readonly number[]): readonly number[] {
  const out = new Float64Array(counts.length).fill(0.123);
  scoreFewest(Float64Array.from(counts), out);
  return [...out];
}

test.each([
  { name: "linear between the extremes", counts: [0, 5, 10], expected: [1, 0.5, 0] },
  { name: "all 1 when all are equal", counts: [3, 3], expected: [1, 1] },
  { name: "a lone known count is best", counts: [7, Number.NaN], expected: [1, 0] },
  { name: "unknown ones do not stretch the range", counts: [2, Number.NaN, 4], expected: [1, 0, 0] },
  { name: "all 1 when nothing is known", counts: [Number.NaN, Number.NaN], expected: [1, 1] },
  { name: "what no count can be is unknown", counts: [-1, Number.POSITIVE_INFINITY, 4], expected: [0, 0, 1] },
  { name: "nothing for no counts", counts: [], expected: [] },
])("$name", ({ counts, expected }) => {
  expect(scores(counts)).toEqual(expected);
});

test("scores lie in 0 to 1, fewer never scores below more, and the order of counts does not matter", () => {
  const counts = fc.array(fc.oneof(fc.double({ min: 0, max: 1e9, noNaN: true }), fc.nat(3), fc.double()), {
    minLength: 1,
  });
  fc.assert(
    fc.property(counts, (given) => {
      const out = scores(given);
      for (const score of out) expect(score >= 0 && score <= 1).toBe(true);
      for (let i = 1; i < given.length; i++) {
        if (given[i]! >= 0 && given[i - 1]! >= given[i]!) expect(out[i]!).toBeGreaterThanOrEqual(out[i - 1]!);
      }
      expect(scores(given.toReversed())).toEqual(out.toReversed());
    }),
  );
});
