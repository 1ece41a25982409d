import { expect, test } from "vitest";
import { poolVersion, readInferencePool } from "./inference-pool.ts";

const pool = (spec: unknown, metadata: object = {}, group = "inference.networking.k8s.io") =>
  readInferencePool({ metadata: { name: "p", ...metadata }, spec }, group);
const selector = { matchLabels: { b: "2", a: "1" } };

test("selector, ports in their order, protocol", () => {
  expect(pool({ selector, targetPorts: [{ number: 8001 }, { number: 8000 }], appProtocol: "http" })).toEqual({
    selector: "a=1,b=2",
    targetPorts: [8001, 8000],
    appProtocol: "http",
  });
});

test("a pool that is being deleted is deleted, whatever it says", () => {
  expect(pool(undefined, { deletionTimestamp: "2026-01-01T00:00:00Z" })).toBe("deleted");
});

test.each<[string, unknown]>([
  ["selector.matchLabels is empty", { selector: {}, targetPorts: [{ number: 8000 }] }],
  ["selector.matchLabels is empty", undefined],
  ["targetPorts is empty", { selector, targetPorts: [] }],
  ["targetPorts has 0", { selector, targetPorts: [{ number: 0 }] }],
  ["targetPorts has 70000", { selector, targetPorts: [{ number: 8000 }, { number: 70000 }] }],
  ["no port number", { selector, targetPorts: [{}] }],
])("what cannot be used is named: %s", (text, spec) => {
  expect(pool(spec)).toEqual({ problem: expect.stringContaining(text) });
});

test.each<[unknown]>([[5], [null], ["b,!c"], ["b=c"], ["not a value"], ["x".repeat(64)]])(
  "a label that is none refuses the pool, since a selector without it would be wider: %j",
  (value) => {
    const spec = { selector: { matchLabels: { a: "1", bad: value } }, targetPorts: [{ number: 8000 }] };
    expect(pool(spec)).toEqual({ problem: expect.stringMatching(/matchLabels has \{"bad":.*which is no label/) });
  },
);

test("a label without a value is one", () => {
  const spec = { selector: { matchLabels: { "example.com/a": "" } }, targetPorts: [{ number: 8000 }] };
  expect(pool(spec)).toMatchObject({ selector: "example.com/a=" });
});

test("pools of the former group have a flat selector and one port", () => {
  const former = (spec: unknown) => pool(spec, {}, "inference.networking.x-k8s.io");
  expect(poolVersion("inference.networking.x-k8s.io")).toBe("v1alpha2");
  expect(former({ selector: { b: "2", a: "1" }, targetPortNumber: 8000 })).toEqual({
    selector: "a=1,b=2",
    targetPorts: [8000],
    appProtocol: undefined,
  });
  expect(former({ selector, targetPortNumber: 8000 })).toEqual({ problem: expect.stringContaining("no label") });
  expect(former({ selector: {}, targetPortNumber: 8000 })).toEqual({ problem: expect.stringContaining("is empty") });
  expect(former({ selector: { a: "1" } })).toEqual({ problem: expect.stringContaining("targetPortNumber") });
});
