import { type Endpoint, WAITING_QUEUE_SIZE } from "@pointsman/core";
import {
  admitterContract,
  buildEndpoint,
  buildPlugin,
  buildRequest,
  endpointSignal,
  pluginContract,
  type RequestOptions,
} from "@pointsman/testkit";
import fc from "fast-check";
import { expect, test } from "vitest";
import exampleAdmitter from "./index.ts";

pluginContract(exampleAdmitter, { testFile: import.meta.url });
admitterContract(exampleAdmitter, {
  signals: [endpointSignal(WAITING_QUEUE_SIZE, fc.oneof(fc.nat(40), fc.double()))],
  request: () => fc.integer({ min: -2, max: 1 }).map((priority): RequestOptions => ({ priority })),
});

const { instance } = buildPlugin(exampleAdmitter, { params: { busyWaitingRequests: 3 }, stalenessMs: 2000 });
const sheddable = buildRequest({ priority: -1, nowMs: 10_000 });
const queued = (slot: number, waitingRequests: number, atMs = 10_000): Endpoint =>
  buildEndpoint(slot, { attributes: [[WAITING_QUEUE_SIZE, waitingRequests, atMs]] });

test("a sheddable request is refused with 429 when all candidates are busy, stale or unknown", () => {
  const denied = instance.admitRequest!(sheddable, [queued(0, 3), queued(1, 0, 7999), buildEndpoint(2)]);
  expect(denied?.httpStatus).toBe(429);
  expect(denied?.reason).toBe("rejected-saturated");
});

test("one candidate with room admits it", () => {
  expect(instance.admitRequest!(sheddable, [queued(0, 3), queued(1, 2)])).toBeUndefined();
});

test("other requests pass whatever the load", () => {
  expect(instance.admitRequest!(buildRequest({ priority: 0, nowMs: 10_000 }), [queued(0, 99)])).toBeUndefined();
});
