import fc from "fast-check";
import { expect, test } from "vitest";
import { scoreComposite } from "./score-composite.ts";

type Case = readonly [usedCache: number, queued: number, cachedPrompt: number];

const even = { kvCache: 1 / 3, queue: 1 / 3, prefix: 1 / 3 };
const nan = Number.NaN;

function scores(cases: readonly Case[], weights = even): readonly number[] {
  const out = new Float64Array(cases.length);
  const signals = {
    usedCache: Float64Array.from(cases, ([used]) => used),
    queued: Float64Array.from(cases, ([, queued]) => queued),
    cachedPrompt: Float64Array.from(cases, ([, , cached]) => cached),
  };
  scoreComposite(signals, out, weights);
  return [...out];
}

// Source: spec scheduling-plugins C11.
test.each([
  { name: "idle and all cached: 1", cases: [[0, 0, 1]], expected: [1] },
  { name: "full, longest queue, nothing cached: 0", cases: [[1, 4, 0]], expected: [0] },
  {
    name: "in hundredths, rounded",
    cases: [
      [0.5, 0, 0.25],
      [0.25, 3, 0],
    ],
    expected: [0.58, 0.25],
  },
  {
    name: "the queue counts against the longest",
    cases: [
      [1, 1, 0],
      [1, 4, 0],
    ],
    expected: [0.25, 0],
  },
  {
    name: "an unknown cache counts as full while another is known",
    cases: [
      [nan, 0, 0],
      [0.4, 0, 0],
    ],
    expected: [0.33, 0.53],
  },
  {
    name: "an unknown queue counts as longest while another is known",
    cases: [
      [1, nan, 0],
      [1, 0, 0],
    ],
    expected: [0, 0.33],
  },
  {
    name: "what is known of nobody counts as empty",
    cases: [
      [nan, nan, 0],
      [nan, nan, 0.5],
    ],
    expected: [0.67, 0.83],
  },
  {
    name: "figures nobody can have are unknown",
    cases: [
      [-1, -1, 0],
      [0, 0, 0],
    ],
    expected: [0, 0.67],
  },
  { name: "a cache use above 1 counts as full", cases: [[2, 0, 0]], expected: [0.33] },
] as { name: string; cases: Case[]; expected: number[] }[])("$name", ({ cases, expected }) => {
  expect(scores(cases)).toEqual(expected);
});

test("the weights say what counts", () => {
  expect(scores([[0.25, 9, 0]], { kvCache: 1, queue: 0, prefix: 0 })).toEqual([0.75]);
  expect(scores([[1, 9, 0.5]], { kvCache: 0, queue: 0, prefix: 1 })).toEqual([0.5]);
});

test("less load and more of the prompt never score lower, and the order does not matter", () => {
  const share = fc.double({ min: 0, max: 1, noNaN: true });
  const list = fc.array(fc.tuple(share, fc.nat(20), share), { minLength: 2, maxLength: 6 });
  fc.assert(
    fc.property(list, share, fc.nat(20), share, (cases, used, queued, cached) => {
      const first = cases[0]!;
      const better: [number, number, number] = [
        Math.min(first[0], used),
        Math.min(first[1], queued),
        Math.max(first[2], cached),
      ];
      expect(scores(cases.with(0, better))[0]).toBeGreaterThanOrEqual(scores(cases)[0]!);
      expect(scores(cases.toReversed()).toReversed()).toEqual(scores(cases));
    }),
  );
});
