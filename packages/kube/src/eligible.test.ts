import { expect, test } from "vitest";
import { ineligible } from "./eligible.ts";
import { readPod } from "./pod.ts";

const ready = { type: "Ready", status: "True" };
const running = { phase: "Running", podIP: "10.0.0.1", conditions: [ready] };

test.each<[string, Record<string, unknown>, Record<string, unknown>, string | undefined]>([
  ["ready with an address", {}, running, undefined],
  ["ready with an IPv6 address", {}, { ...running, podIP: "fd00::1" }, undefined],
  ["ready without a phase", {}, { podIP: "10.0.0.1", conditions: [ready] }, undefined],
  [
    "ready among other conditions",
    {},
    { ...running, conditions: [{ type: "Initialized", status: "True" }, ready] },
    undefined,
  ],
  ["ready while pending", {}, { ...running, phase: "Pending" }, undefined],
  ["being deleted", { deletionTimestamp: "2026-01-01T00:00:00Z" }, running, "terminating"],
  ["being deleted and not ready", { deletionTimestamp: "2026-01-01T00:00:00Z" }, {}, "terminating"],
  ["not ready", {}, { ...running, conditions: [{ type: "Ready", status: "False" }] }, "not ready"],
  ["readiness unknown", {}, { ...running, conditions: [{ type: "Ready", status: "Unknown" }] }, "not ready"],
  [
    "the first Ready condition counts",
    {},
    { ...running, conditions: [{ type: "Ready", status: "False" }, ready] },
    "not ready",
  ],
  [
    "without a Ready condition",
    {},
    { ...running, conditions: [{ type: "ContainersReady", status: "True" }] },
    "not ready",
  ],
  ["without conditions", {}, { ...running, conditions: undefined }, "not ready"],
  ["conditions that are none", {}, { ...running, conditions: [null, 7, "Ready"] }, "not ready"],
  ["without an address", {}, { ...running, podIP: undefined }, "no address"],
  ["with an empty address", {}, { ...running, podIP: "" }, "no address"],
  ["with a host name for an address", {}, { ...running, podIP: "evil.example" }, "no address"],
  ["succeeded", {}, { ...running, phase: "Succeeded" }, "finished"],
  ["failed", {}, { ...running, phase: "Failed" }, "finished"],
  ["without status", {}, {}, "no address"],
])("%s", (_what, metadata, status, expected) => {
  expect(ineligible(readPod({ metadata: { name: "p", namespace: "ns", ...metadata }, status }))).toBe(expected);
});
