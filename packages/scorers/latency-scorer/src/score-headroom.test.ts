import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { HeadroomStrategy } from "./params.ts";
import { hundredths, scoreHeadroom } from "./score-headroom.ts";

type Case = readonly [ttftMs: number, tpotMs: number, dispatched?: number];

const usual = { ttft: 0.8, tpot: 0.2 };
const none: Case = [Number.NaN, Number.NaN];

function scores(cases: readonly Case[], strategy: HeadroomStrategy = "least", weights = usual): readonly number[] {
  const out = new Float64Array(cases.length);
  const headrooms = {
    ttftMs: Float64Array.from(cases, ([ttft]) => ttft),
    tpotMs: Float64Array.from(cases, ([, tpot]) => tpot),
    dispatched: Float64Array.from(cases, ([, , dispatched = 1]) => dispatched),
  };
  expect(scoreHeadroom(headrooms, out, weights, strategy)).toBe(true);
  return [...out];
}

// Source: spec scheduling-plugins, golden values of latency-scorer.
test.each([
  {
    name: "both meet the objectives",
    cases: [
      [100, 20],
      [30, 5],
    ],
    expected: [0.01, 1.01],
  },
  {
    name: "both miss them",
    cases: [
      [-10, -5],
      [-100, -30],
    ],
    expected: [1.01, 0.01],
  },
] as { name: string; cases: Case[]; expected: number[] }[])("golden: $name", ({ cases, expected }) => {
  expect(scores(cases)).toEqual(expected);
});

// Source: spec scheduling-plugins C11.
test("a share is cut off to hundredths as plain doubles are", () => {
  expect(hundredths(1 - 0.6000000000000001)).toBe(0.4);
  expect(hundredths(0.4)).toBe(0.41);
  expect(hundredths(1)).toBe(1.01);
  expect(hundredths(0)).toBe(0.01);
});

describe("groups: only the best that occurs is scored", () => {
  test.each([
    {
      name: "both objectives met",
      cases: [
        [1, 1],
        [1, -1, 0],
        [-1, -1],
      ],
      expected: [0.51, 0, 0],
    },
    {
      name: "an objective exactly met",
      cases: [
        [0, 0],
        [-1, 1, 0],
      ],
      expected: [0.51, 0],
    },
    {
      name: "missed, with nothing on its way",
      cases: [
        [-9, -9, 0],
        [1, -1],
        [-1, 1],
      ],
      expected: [0.51, 0, 0],
    },
    {
      name: "only the time per token missed",
      cases: [
        [-1, 1],
        [1, -1],
        [-1, -1],
      ],
      expected: [0, 0.51, 0],
    },
    {
      name: "only the first token missed",
      cases: [
        [-1, -1],
        [-1, 1],
      ],
      expected: [0, 0.51],
    },
    { name: "without a prediction: 0", cases: [none, [-1, -1], [Number.NaN, 5]], expected: [0, 0.51, 0] },
  ] as { name: string; cases: Case[]; expected: number[] }[])("$name", ({ cases, expected }) => {
    expect(scores(cases)).toEqual(expected);
  });

  test("nobody has a prediction: nothing is written", () => {
    const nan = Float64Array.of(Number.NaN);
    const out = Float64Array.of(0.7);
    expect(scoreHeadroom({ ttftMs: nan, tpotMs: nan, dispatched: nan }, out, usual, "least")).toBe(false);
    expect([...out]).toEqual([0.7]);
  });
});

describe("within a group", () => {
  test("`most` prefers much headroom, but never the endpoint that misses most", () => {
    expect(
      scores(
        [
          [100, 20],
          [30, 5],
        ],
        "most",
      ),
    ).toEqual([1.01, 0.01]);
    expect(
      scores(
        [
          [-10, -5],
          [-100, -30],
        ],
        "most",
      ),
    ).toEqual([1.01, 0.01]);
    expect(
      scores(
        [
          [-10, 5, 0],
          [-100, 5, 0],
        ],
        "most",
      ),
    ).toEqual([1.01, 0.01]);
  });

  test("a latency that is the same everywhere leaves the other one all the weight", () => {
    expect(
      scores([
        [100, 20],
        [100, 5],
        [100, 10],
      ]),
    ).toEqual([0.01, 1.01, hundredths(1 - 5 / 15)]);
    expect(
      scores([
        [100, 5],
        [0, 5],
        [50, 5],
      ]),
    ).toEqual([0.01, 1.01, 0.51]);
  });

  test("a difference of a billionth is none", () => {
    expect(
      scores([
        [0, 5],
        [1e-9, 5],
      ]),
    ).toEqual([0.51, 0.51]);
    expect(
      scores([
        [0, 5],
        [1e-8, 5],
      ]),
    ).toEqual([1.01, 0.01]);
  });

  test("the weights say which latency counts", () => {
    const cases: Case[] = [
      [0, 10],
      [10, 0],
    ];
    expect(scores(cases)).toEqual([hundredths(1 - 0.2), hundredths(1 - 0.8)]);
    expect(scores(cases, "least", { ttft: 0, tpot: 1 })).toEqual([0.01, 1.01]);
    expect(scores(cases, "least", { ttft: 0.5, tpot: 0.5 })).toEqual([0.51, 0.51]);
  });

  test("infinite headroom is comparable", () => {
    expect(
      scores([
        [Number.POSITIVE_INFINITY, 1],
        [1, 1],
      ]),
    ).toEqual([0.01, 1.01]);
  });
});

const headrooms = fc.array(fc.tuple(fc.integer({ min: -50, max: 50 }), fc.integer({ min: -50, max: 50 }), fc.nat(2)), {
  minLength: 1,
  maxLength: 6,
});

test("scores are whole hundredths from 0 to 1.01, and somebody is above 0", () => {
  fc.assert(
    fc.property(headrooms, fc.constantFrom<HeadroomStrategy>("least", "most"), (cases, strategy) => {
      const got = scores(cases, strategy);
      for (const score of got) expect([score, Math.round(score * 100) / 100]).toEqual([score, score]);
      expect(Math.max(...got)).toBeGreaterThan(0);
      expect(Math.max(...got)).toBeLessThanOrEqual(1.01);
      expect(Math.min(...got)).toBeGreaterThanOrEqual(0);
    }),
  );
});

test("among endpoints that miss both objectives, one that misses less never scores lower", () => {
  const missing = fc.tuple(fc.integer({ min: -50, max: -1 }), fc.integer({ min: -50, max: -1 }));
  fc.assert(
    fc.property(fc.array(missing, { minLength: 2, maxLength: 6 }), (cases) => {
      const got = scores(cases);
      for (const [i, [ttft, tpot]] of cases.entries()) {
        for (const [j, [otherTtft, otherTpot]] of cases.entries()) {
          if (ttft >= otherTtft && tpot >= otherTpot) expect(got[i]).toBeGreaterThanOrEqual(got[j]!);
        }
      }
    }),
  );
});
