import { ACTIVE_MODELS, type AttributeKey, customMetric, WAITING_QUEUE_SIZE } from "@pointsman/core";
import {
  buildEndpoint,
  buildPlugin,
  buildRequest,
  endpointSignal,
  filterContract,
  pluginContract,
} from "@pointsman/testkit";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { meetsThreshold } from "./endpoint-attribute-filter.ts";
import endpointAttributeFilter from "./index.ts";
import type { ThresholdOperator } from "./params.ts";

const nowMs = 10_000;
const threshold = (operator: ThresholdOperator, value: number) => ({
  type: "threshold",
  threshold: { operator, value },
});
const params = { attribute: "WaitingQueueSize", algorithm: threshold("LessThan", 5) };
const signals = [endpointSignal(WAITING_QUEUE_SIZE, fc.oneof(fc.nat(9), fc.double()))];

pluginContract(endpointAttributeFilter, { testFile: import.meta.url, params });
describe.each([{}, { onMissing: "Fail" }, { fallbackOnEmpty: true }])("with %j", (more) => {
  filterContract(endpointAttributeFilter, { params: { ...params, ...more }, signals });
});

function kept(
  given: object,
  values: readonly unknown[],
  key: AttributeKey<unknown> = WAITING_QUEUE_SIZE,
  atMs = nowMs,
): readonly number[] {
  const endpoints = values.map((value, slot) =>
    buildEndpoint(slot, { attributes: value === undefined ? [] : [[key, value, atMs]] }),
  );
  const { instance } = buildPlugin(endpointAttributeFilter, { params: { ...params, ...given } });
  return instance.filter!(buildRequest({ nowMs }), endpoints).map(({ slot }) => slot);
}

// Source: spec scheduling-plugins A3.
test.each([
  ["LessThan", [0]],
  ["LessThanOrEqual", [0, 1]],
  ["GreaterThan", [2]],
  ["GreaterThanOrEqual", [1, 2]],
  ["Equal", [1]],
  ["NotEqual", [0, 2]],
] as const)("%s keeps %j of 4, 5 and 6 against 5", (operator, slots) => {
  expect(kept({ algorithm: threshold(operator, 5) }, [4, 5, 6])).toEqual(slots);
});

test("an endpoint without the number is kept, or dropped when that is configured", () => {
  expect(kept({}, [9, undefined])).toEqual([1]);
  expect(kept({ onMissing: "Fail" }, [1, undefined])).toEqual([0]);
});

test("a stale number is no number", () => {
  expect(kept({}, [1], WAITING_QUEUE_SIZE, nowMs - 2001)).toEqual([0]);
  expect(kept({ onMissing: "Fail" }, [1], WAITING_QUEUE_SIZE, nowMs - 2001)).toEqual([]);
  expect(kept({ onMissing: "Fail" }, [1], WAITING_QUEUE_SIZE, nowMs - 2000)).toEqual([0]);
});

test("NaN, and an attribute that is no number, count as missing whatever the comparison", () => {
  const given = { onMissing: "Fail", algorithm: threshold("NotEqual", 5) };
  expect(kept(given, [Number.NaN, 4])).toEqual([1]);
  expect(kept({ ...given, attribute: "ActiveModels" }, [new Set(["a"])], ACTIVE_MODELS)).toEqual([]);
});

test("when none passes the list is empty, or whole when that is configured", () => {
  expect(kept({}, [8, 9])).toEqual([]);
  expect(kept({ fallbackOnEmpty: true }, [8, 9])).toEqual([0, 1]);
  expect(kept({ fallbackOnEmpty: true }, [8, 4])).toEqual([1]);
});

test("the number is that of the producer that is named, also of nobody in particular", () => {
  const far = { attribute: "GpuUtil", producer: "dcgm-extractor" };
  expect(kept(far, [9, 1], customMetric("GpuUtil", "dcgm-extractor"))).toEqual([1]);
  const anybody = { attribute: "example.com/queue", producer: "" };
  expect(endpointAttributeFilter.consumes!(paramsOf(anybody))).toMatchObject({
    optional: [{ id: "example.com/queue/" }],
  });
});

function paramsOf(given: object): unknown {
  const outcome = endpointAttributeFilter.params!["~standard"].validate({ ...params, ...given });
  if (outcome instanceof Promise || outcome.issues !== undefined) throw new Error("refused");
  return outcome.value;
}

test("a number keeps its side of the threshold however far it moves away from it", () => {
  const finite = fc.double({ noNaN: true, noDefaultInfinity: true });
  fc.assert(
    fc.property(finite, finite, fc.double({ min: 0, noNaN: true }), (number, value, step) => {
      if (meetsThreshold(number, "LessThan", value))
        expect(meetsThreshold(number - step, "LessThan", value)).toBe(true);
      if (meetsThreshold(number, "GreaterThanOrEqual", value)) {
        expect(meetsThreshold(number + step, "GreaterThanOrEqual", value)).toBe(true);
      }
    }),
  );
});

test.each([
  { given: { attribute: "" }, problem: "attribute: " },
  { given: { attribute: "a/b" }, problem: 'attribute: "a/b" contains "/"' },
  { given: { onMissing: "Drop" }, problem: "onMissing: " },
  { given: { algorithm: undefined }, problem: "algorithm: " },
  { given: { algorithm: { type: "threshold" } }, problem: "algorithm.threshold: " },
  { given: { algorithm: { ...threshold("Equal", 1), type: "linear" } }, problem: "algorithm.type: " },
  {
    given: { algorithm: { type: "threshold", threshold: { operator: "<", value: 1 } } },
    problem: "algorithm.threshold.operator: ",
  },
  {
    given: { algorithm: { type: "threshold", threshold: { operator: "Equal", value: "1" } } },
    problem: "algorithm.threshold.value: ",
  },
  { given: { attribute: "agent-identity", producer: "" }, problem: "attribute: names no number" },
])("$problem is the answer to $given", ({ given, problem }) => {
  expect(() => buildPlugin(endpointAttributeFilter, { params: { ...params, ...given } })).toThrow(problem);
});
