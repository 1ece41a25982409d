import { type Endpoint, WAITING_QUEUE_SIZE } from "@pointsman/core";
import {
  buildEndpoint,
  buildPlugin,
  buildRequest,
  endpointSignal,
  filterContract,
  pluginContract,
} from "@pointsman/testkit";
import fc from "fast-check";
import { expect, test } from "vitest";
import exampleFilter from "./index.ts";

pluginContract(exampleFilter, { testFile: import.meta.url });
filterContract(exampleFilter, { signals: [endpointSignal(WAITING_QUEUE_SIZE, fc.oneof(fc.nat(20), fc.double()))] });

const { instance } = buildPlugin(exampleFilter, { params: { maxWaitingRequests: 2 }, stalenessMs: 2000 });
const request = buildRequest({ nowMs: 10_000 });
const queued = (slot: number, waitingRequests: number, atMs = 10_000): Endpoint =>
  buildEndpoint(slot, { attributes: [[WAITING_QUEUE_SIZE, waitingRequests, atMs]] });

test("endpoints with longer queues, stale or unknown ones are left out", () => {
  const [short, limit, long, stale] = [queued(0, 0), queued(1, 2), queued(2, 3), queued(3, 0, 7999)];
  expect(instance.filter!(request, [short, limit, long, stale, buildEndpoint(4)])).toEqual([short, limit]);
});

test("all stay when none has a short queue", () => {
  const endpoints = [queued(0, 9), buildEndpoint(1)];
  expect(instance.filter!(request, endpoints)).toBe(endpoints);
});
