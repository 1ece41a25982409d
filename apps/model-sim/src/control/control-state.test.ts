import fc from "fast-check";
import { expect, test } from "vitest";
import { applyControlPatch, type ControlState, healthyControl } from "./control-state.ts";
import { FaultPlan } from "./fault-plan.ts";

function apply(patch: unknown, state: ControlState = healthyControl): ControlState {
  const result = applyControlPatch(state, patch);
  if ("problems" in result) throw new Error(JSON.stringify(result.problems));
  return result.state;
}

function problems(patch: unknown): string[] {
  const result = applyControlPatch(healthyControl, patch);
  return "problems" in result ? result.problems.map(({ path, message }) => `${path} ${message}`) : [];
}

test("a patch changes its settings and leaves the others", () => {
  const first = apply({ slowFactor: 3, hang: "metrics" });
  const second = apply({ hang: null, errors: { status: 500, fraction: 0.5 } }, first);
  expect(second).toEqual({ ...healthyControl, slowFactor: 3, errors: { status: 500, fraction: 0.5 } });
});

test("missing keys inside errors and cut take their defaults", () => {
  expect(apply({ errors: {}, cut: {} })).toMatchObject({
    errors: { status: 503, fraction: 1 },
    cut: { afterChunks: 1, fraction: 1 },
  });
});

test("a state can be applied as a patch and gives itself", () => {
  const state = apply({ errors: {}, cut: { afterChunks: 3 }, refuse: "new", metrics: "stale", hang: "all" });
  expect(apply(JSON.parse(JSON.stringify(state)))).toEqual(state);
});

test("every problem of a patch is reported, with the nearest name for an unknown setting", () => {
  expect(
    problems({ slowfactor: 2, errors: { fraction: 2, state: 1 }, hang: "metric", metricsPaddingBytes: 1.5 }),
  ).toEqual([
    'slowfactor is not a setting. Nearest: "slowFactor". Settings: errors, hang, cut, metrics, metricsPaddingBytes, slowFactor, refuse, kvTransfer',
    'errors.state is not a setting. Nearest: "status". Settings: status, fraction',
    "errors.fraction must be a number from 0 to 1, not 2",
    'hang must be one of "all", "inference", "metrics" or null, not "metric"',
    "metricsPaddingBytes must be an integer from 0 to 67108864, not 1.5",
  ]);
  expect(problems([])).toEqual([" must be an object, not an array"]);
  expect(problems({ metrics: null })).toEqual(['metrics must be one of "normal", "stale", "garbage", not null']);
  expect(problems({ cut: "yes" })).toEqual(['cut must be an object or null, not "yes"']);
});

test("anything from outside gives a state or problems, never an exception", () => {
  fc.assert(
    fc.property(
      fc.oneof(fc.anything(), fc.dictionary(fc.constantFrom("errors", "cut", "hang", "refuse", "x"), fc.anything())),
      (patch) => {
        const result = applyControlPatch(healthyControl, patch);
        if ("problems" in result) expect(result.problems.length).toBeGreaterThan(0);
        else expect(Object.keys(result.state)).toEqual(Object.keys(healthyControl));
      },
    ),
  );
});

test("the seed decides which requests fail, and the fraction how many", () => {
  const state = apply({ errors: { fraction: 0.25 }, cut: { fraction: 0.5, afterChunks: 2 } });
  const fates = (seed: number) => {
    const plan = new FaultPlan(seed);
    return Array.from({ length: 4000 }, () => plan.next(state));
  };
  const first = fates(1);
  expect(fates(1)).toEqual(first);
  expect(fates(2)).not.toEqual(first);
  const failed = first.filter((fate) => fate.errorStatus === 503).length;
  const cut = first.filter((fate) => fate.cutAfterChunks === 2).length;
  expect(failed).toBeGreaterThan(900);
  expect(failed).toBeLessThan(1100);
  expect(cut).toBeGreaterThan(1850);
  expect(cut).toBeLessThan(2150);
});

test("without failures nothing happens to a request", () => {
  expect(new FaultPlan(1).next(healthyControl)).toEqual({
    hangs: false,
    errorStatus: undefined,
    cutAfterChunks: undefined,
  });
});
