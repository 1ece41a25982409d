import { expect, test } from "vitest";
import { readInferencePool } from "./inference-pool.ts";

const pool = (spec: unknown, metadata: object = {}) =>
  readInferencePool({ metadata: { name: "p", ...metadata }, spec });
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
