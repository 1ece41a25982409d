import { type Endpoint, WAITING_QUEUE_SIZE } from "@pointsman/core";
import {
  buildEndpoint,
  buildPlugin,
  endpointSignal,
  pluginContract,
  saturationDetectorContract,
} from "@pointsman/testkit";
import fc from "fast-check";
import { expect, test } from "vitest";
import exampleSaturationDetector from "./index.ts";

pluginContract(exampleSaturationDetector, { testFile: import.meta.url });
saturationDetectorContract(exampleSaturationDetector, {
  signals: [endpointSignal(WAITING_QUEUE_SIZE, fc.oneof(fc.nat(20), fc.double()))],
});

const { instance } = buildPlugin(exampleSaturationDetector, { stalenessMs: 2000 });
const queued = (slot: number, waitingRequests: number, atMs = 10_000): Endpoint =>
  buildEndpoint(slot, { attributes: [[WAITING_QUEUE_SIZE, waitingRequests, atMs]] });

test.each([
  ["idle", [queued(0, 0)], 0],
  ["one idle, one half full", [queued(0, 0), queued(1, 4)], 0.25],
  ["all full", [queued(0, 8), queued(1, 99)], 1],
  [
    "one idle, one stale, one unknown, one idle",
    [queued(0, 0), queued(1, 0, 7999), buildEndpoint(2), queued(3, 0)],
    0.5,
  ],
])("%s: saturation", (_name, endpoints, saturation) => {
  expect(instance.saturation!(endpoints, 10_000)).toBe(saturation);
});
