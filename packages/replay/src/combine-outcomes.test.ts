import { expect, test } from "vitest";
import { combineOutcomes } from "./combine-outcomes.ts";
import type { ReplayOutcome } from "./replay-outcome.ts";

function outcome(value: number, problems: readonly (readonly [string, number])[] = []): ReplayOutcome {
  const spread = { mean: value, p50: value + 1, p90: value + 2, p99: value + 3 };
  return {
    ...{ policy: "p", counted: value, ttftMs: spread, endToEndMs: spread, tpotMs: spread, queueMs: spread },
    ...{ outputKeptUp: 1, hitRate: value / 100, requestsPerServer: [value], imbalance: value, utilization: 0.5 },
    ...{ decisionMs: undefined, problems: new Map(problems), served: [] },
    pluginProblems: new Map([["reader", `value ${value}`]]),
  };
}

test("a row has the median of each figure, the smallest and largest means, and all problems", () => {
  const combined = combineOutcomes([outcome(30, [["503", 2]]), outcome(10, [["503", 1]]), outcome(11, [["429", 4]])]);
  expect(combined).toMatchObject({
    policy: "p",
    replays: 3,
    ttftMs: { mean: 11, p50: 12, p90: 13, p99: 14 },
    hitRate: 0.11,
    imbalance: 11,
    decisionMs: undefined,
    spread: { ttftMeanMs: { min: 10, max: 30 }, endToEndMeanMs: { min: 10, max: 30 }, hitRate: { min: 0.1, max: 0.3 } },
  });
  expect([...combined.pluginProblems]).toEqual([["reader", "value 30"]]);
  expect([...combined.problems]).toEqual([
    ["503", 3],
    ["429", 4],
  ]);
});
