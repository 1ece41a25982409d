import { expect, test } from "vitest";
import { belongsTo } from "./pool-reference.ts";
import { readObjective } from "./read-objective.ts";
import { readRewrite } from "./read-rewrite.ts";

test("a rewrite with its age, its rules in order, its targets and weights", () => {
  const spec = {
    rules: [
      {
        matches: [{ model: { type: "Exact", value: "m" } }, { model: { value: "n" } }],
        targets: [{ modelRewrite: "a", weight: 3 }, { modelRewrite: "b" }],
      },
      { targets: [{ modelRewrite: "c" }] },
    ],
  };
  expect(readRewrite("r", { metadata: { creationTimestamp: "2026-01-01T00:00:00Z" }, spec })).toEqual({
    name: "r",
    createdAtMs: Date.UTC(2026, 0, 1),
    rules: [
      {
        models: ["m", "n"],
        targets: [
          { model: "a", weight: 3 },
          { model: "b", weight: undefined },
        ],
      },
      { models: undefined, targets: [{ model: "c", weight: undefined }] },
    ],
  });
});

test("a rule whose matches name no model applies to nothing, not to everything", () => {
  const { rules } = readRewrite("r", { spec: { rules: [{ matches: [{}], targets: [{ modelRewrite: "a" }] }] } });
  expect(rules[0]?.models).toEqual([]);
});

test.each([null, 7, "x", [], { matches: "x" }, { matches: {}, targets: [] }])(
  "a rule that is none applies to nothing, not to everything: %j",
  (rule) => {
    expect(readRewrite("r", { spec: { rules: [rule] } }).rules[0]?.models).toEqual([]);
  },
);

test.each([{}, { matches: null }, { matches: [] }])("a rule without matches applies to everything: %j", (rule) => {
  expect(readRewrite("r", { spec: { rules: [rule] } }).rules[0]?.models).toBeUndefined();
});

test.each([undefined, null, 7, { rules: "x" }])("a spec that is none has no rules: %j", (spec) => {
  expect(readRewrite("r", { spec })).toEqual({ name: "r", createdAtMs: undefined, rules: [] });
});

test("weights out of range, and those that are no whole numbers, count as not stated", () => {
  const targets = [0, -1, 1.5, "2", 1_000_001, 1_000_000].map((weight) => ({ modelRewrite: "a", weight }));
  const { rules } = readRewrite("r", { spec: { rules: [{ targets }] } });
  const undefinedWeights = Array.from({ length: 5 }, () => undefined);
  expect(rules[0]?.targets.map(({ weight }) => weight)).toEqual([...undefinedWeights, 1_000_000]);
});

test.each<[unknown, number | undefined]>([
  [-4, -4],
  [0, 0],
  [undefined, undefined],
  ["7", undefined],
])("an objective of priority %j has %j", (priority, expected) => {
  expect(readObjective("o", { spec: { priority } })).toEqual({ name: "o", priority: expected });
});

test.each<[unknown, boolean]>([
  [{ name: "p", group: "inference.networking.k8s.io" }, true],
  [{ name: "p" }, true],
  [{ name: "p", kind: "Whatever" }, true],
  [{ name: "q" }, false],
  [{ name: "p", group: "other.io" }, false],
  [undefined, false],
])("the reference %j to the pool: %s", (poolRef, expected) => {
  const pool = { group: "inference.networking.k8s.io", name: "p" };
  expect(belongsTo({ spec: { poolRef } }, pool)).toBe(expected);
  expect(belongsTo({ metadata: { deletionTimestamp: "2026-01-01T00:00:00Z" }, spec: { poolRef } }, pool)).toBe(false);
});
