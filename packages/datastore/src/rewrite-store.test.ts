import { type InferenceModelRewrite, type Logger, noMetrics, type RewriteTarget, silentLogger } from "@pointsman/core";
import { seededRandom } from "@pointsman/testkit";
import fc from "fast-check";
import { expect, test } from "vitest";
import { maxRewrites, RewriteStore } from "./rewrite-store.ts";

function build(random: () => number = seededRandom(1)) {
  const log: string[] = [];
  const logger: Logger = { ...silentLogger, warn: (_fields, message) => void log.push(message) };
  const series = new Map<string, number>();
  const metrics = {
    ...noMetrics,
    counter: () => ({
      labels: (...labels: readonly string[]) => ({
        inc: () => void series.set(labels.join("|"), (series.get(labels.join("|")) ?? 0) + 1),
      }),
      remove: (...labels: readonly string[]) => void series.delete(labels.join("|")),
    }),
  };
  return { store: new RewriteStore({ random, metrics, logger }), log, series };
}

const target = (model: string, weight?: number): RewriteTarget => ({ model, weight });

function rewrite(
  name: string,
  rules: InferenceModelRewrite["rules"],
  createdAtMs?: number,
  position?: number,
): InferenceModelRewrite {
  return { name, createdAtMs, rules, ...(position === undefined ? {} : { position }) };
}

/** A rule for `models` whose only target tells which rule it is. */
const rule = (models: readonly string[] | undefined, model: string) => ({ models, targets: [target(model)] });

test("an exact rule goes before a general one, whichever is older", () => {
  const { store } = build();
  store.set(rewrite("old", [rule(undefined, "general")], 1));
  store.set(rewrite("young", [rule(["m", "n"], "exact")], 2));
  expect(store.choose("m")).toEqual({ rewrite: "young", targetModel: "exact" });
  expect(store.choose("n")?.targetModel).toBe("exact");
  expect(store.choose("x")).toEqual({ rewrite: "old", targetModel: "general" });
  expect(store.choose("")?.targetModel).toBe("general");
});

test("a changed rewrite has series of the choices that it can make, not of all it ever made", () => {
  const { store, series } = build();
  for (let version = 0; version < 50; version++) {
    store.set(rewrite("canary", [rule([`m${version}`, "m"], `t${version}`)]));
    store.choose("m");
    store.choose(`m${version}`);
  }
  expect([...series.keys()]).toEqual(["canary|m|t49", "canary|m49|t49"]);
  store.replaceAll([rewrite("canary", [rule(undefined, "t49"), rule(["m"], "other")])]);
  expect([...series]).toEqual([
    ["canary|m|t49", 1],
    ["canary|m49|t49", 1],
  ]);
  store.replaceAll([rewrite("canary", [rule(undefined, "other")])]);
  expect([...series]).toEqual([]);
});

test("of several rules the older object's goes first, then list place, then name, then the order inside", () => {
  const { store } = build();
  store.set(rewrite("c", [rule(["m"], "c")], 5));
  store.set(rewrite("b", [rule(["m"], "b1"), rule(["m"], "b2")], 5));
  expect(store.choose("m")?.targetModel).toBe("b1");
  store.set(rewrite("z", [rule(["m"], "z")], 4));
  expect(store.choose("m")?.targetModel).toBe("z");
  store.delete("z");
  expect(store.choose("m")?.targetModel).toBe("b1");
  store.replaceAll([
    rewrite("b", [rule(["m"], "second")], undefined, 1),
    rewrite("c", [rule(["m"], "first")], undefined, 0),
  ]);
  expect(store.choose("m")?.targetModel).toBe("first");
});

test("without a rule that applies nothing is chosen", () => {
  const { store } = build();
  expect(store.choose("m")).toBeUndefined();
  expect(store.isEmpty).toBe(true);
  store.set(rewrite("r", [rule(["other"], "t"), { models: [], targets: [target("never")] }]));
  expect(store.choose("m")).toBeUndefined();
  expect(store.isEmpty).toBe(false);
});

test("targets are drawn by weight, and one without a weight beside them is never drawn, with a warning", () => {
  const { store, log } = build();
  store.set(rewrite("r", [{ models: ["m"], targets: [target("a", 90), target("b", 10), target("c")] }]));
  const counts: Record<string, number> = {};
  for (let i = 0; i < 10_000; i++) {
    const chosen = store.choose("m")!.targetModel;
    counts[chosen] = (counts[chosen] ?? 0) + 1;
  }
  expect(Object.keys(counts).sort()).toEqual(["a", "b"]);
  expect(counts["b"]).toBeGreaterThan(900);
  expect(counts["b"]).toBeLessThan(1100);
  expect(log).toEqual(["targets without a weight stand beside targets with one and get no requests"]);
});

test("without weights targets are drawn evenly", () => {
  const { store } = build();
  store.set(rewrite("r", [{ models: undefined, targets: [target("a"), target("b"), target("c")] }]));
  const counts = new Map<string, number>();
  for (let i = 0; i < 9000; i++) {
    const { targetModel } = store.choose("m")!;
    counts.set(targetModel, (counts.get(targetModel) ?? 0) + 1);
  }
  for (const model of ["a", "b", "c"]) expect(Math.abs(counts.get(model)! - 3000)).toBeLessThan(200);
});

test.each([
  [0, "a"],
  [0.2499, "a"],
  [0.25, "b"],
  [0.9999, "b"],
])("the draw %d falls on %s", (drawn, expected) => {
  const { store } = build(() => drawn);
  store.set(rewrite("r", [{ models: ["m"], targets: [target("a", 1), target("none"), target("b", 3)] }]));
  expect(store.choose("m")?.targetModel).toBe(expected);
});

test("a rule without targets chooses the empty model, with a warning", () => {
  const { store, log } = build();
  store.set(rewrite("r", [{ models: ["m"], targets: [] }]));
  expect(store.choose("m")).toEqual({ rewrite: "r", targetModel: "" });
  expect(log).toEqual(["a rule has no targets; requests it applies to are refused"]);
});

test("decisions count by rewrite, model and target, and go with the rewrite", () => {
  const { store, series } = build(() => 0);
  store.set(rewrite("r", [rule(["m"], "t")]));
  store.set(rewrite("s", [rule(undefined, "u")]));
  store.choose("m");
  store.choose("m");
  store.choose("x");
  expect(series).toEqual(
    new Map([
      ["r|m|t", 2],
      ["s|x|u", 1],
    ]),
  );
  store.delete("r");
  store.replaceAll([]);
  expect(series.size).toBe(0);
});

test("of 5,000 models that no rule names, 1,000 are told apart; named ones always are", () => {
  const { store, series } = build(() => 0);
  store.set(rewrite("all", [rule(undefined, "t")]));
  for (let i = 0; i < 5000; i++) store.choose(`m${i}`);
  store.set(rewrite("one", [rule(["late"], "t")]));
  store.choose("late");
  expect(series.size).toBe(1002);
  expect(series.get("all|other|t")).toBe(4000);
  expect(series.get("one|late|t")).toBe(1);
});

test("names are those that rules are for and those they choose", () => {
  const { store } = build();
  expect(store.names("m")).toBe(false);
  store.set(rewrite("r", [rule(["m"], "t")]));
  expect([store.names("m"), store.names("t"), store.names("x")]).toEqual([true, true, false]);
});

test("there is a bound, which is told of once", () => {
  const { store, log } = build();
  store.replaceAll(Array.from({ length: maxRewrites + 3 }, (_, i) => rewrite(`r${i}`, [rule([`m${i}`], "t")])));
  expect(store.size).toBe(maxRewrites);
  expect(log).toEqual(["there are more rewrites than are kept"]);
});

test("the order in which objects come does not matter", () => {
  const objects = fc.uniqueArray(
    fc.record({
      name: fc.string({ minLength: 1, maxLength: 3 }),
      createdAtMs: fc.option(fc.integer({ min: 0, max: 2 }), { nil: undefined }),
      general: fc.boolean(),
    }),
    { selector: ({ name }) => name, minLength: 1 },
  );
  fc.assert(
    fc.property(objects, fc.infiniteStream(fc.nat()), (list, keys) => {
      const built = list.map(({ name, createdAtMs, general }) =>
        rewrite(name, [rule(general ? undefined : ["m"], `t-${name}`)], createdAtMs),
      );
      const shuffled = built
        .map((each) => ({ each, key: keys.next().value }))
        .sort((a, b) => a.key - b.key)
        .map(({ each }) => each);
      const [one, two] = [build().store, build().store];
      for (const each of built) one.set(each);
      two.replaceAll(shuffled);
      for (const model of ["m", "x"]) expect(two.choose(model)).toEqual(one.choose(model));
    }),
  );
});
