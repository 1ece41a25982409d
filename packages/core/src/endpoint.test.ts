import fc from "fast-check";
import { expect, test } from "vitest";
import { buildEndpoint } from "../test/testkit.ts";
import { KV_CACHE_USAGE, WAITING_QUEUE_SIZE } from "./attributes/metric-attributes.ts";
import { Endpoint, hostPort, slotTableLength, writeAttribute } from "./endpoint.ts";

test.each([
  ["10.0.0.1", 8000, "10.0.0.1:8000"],
  ["model-server.local", 80, "model-server.local:80"],
  ["::1", 8000, "[::1]:8000"],
  ["fd00::12", 443, "[fd00::12]:443"],
])("%s and %d join to %s", (host, port, expected) => {
  expect(hostPort(host, port)).toBe(expected);
});

test("an endpoint takes id and destination from its metadata and starts with nothing known", () => {
  const endpoint = buildEndpoint(3, { name: "pod-rank-1", namespace: "models", address: "fd00::1", port: 8001 });
  expect(endpoint).toMatchObject({
    slot: 3,
    id: "models/pod-rank-1",
    hostPort: "[fd00::1]:8001",
    reachability: "unknown",
    values: [],
    writtenAtMs: [],
  });
});

test("new metadata moves the destination and keeps what is known", () => {
  const endpoint = buildEndpoint(0, { address: "10.0.0.1", attributes: [[WAITING_QUEUE_SIZE, 3, 5]] });
  const metadata = { ...endpoint.metadata, address: "10.0.0.2", port: 9000 };
  endpoint.update(metadata);
  expect(endpoint.metadata).toBe(metadata);
  expect(endpoint.hostPort).toBe("10.0.0.2:9000");
  expect(endpoint.values[WAITING_QUEUE_SIZE.index]).toBe(3);
});

test("attributes stand at their key's index with the time of the write, without holes before them", () => {
  const endpoint = buildEndpoint(0);
  writeAttribute(endpoint, KV_CACHE_USAGE, 0.5, 20);
  writeAttribute(endpoint, WAITING_QUEUE_SIZE, 0, 10);
  writeAttribute(endpoint, KV_CACHE_USAGE, undefined, 30);
  const length = Math.max(KV_CACHE_USAGE.index, WAITING_QUEUE_SIZE.index) + 1;
  expect(endpoint.values).toHaveLength(length);
  expect(Object.keys(endpoint.values)).toHaveLength(length);
  expect(Object.keys(endpoint.writtenAtMs)).toHaveLength(length);
  expect(endpoint.values[KV_CACHE_USAGE.index]).toBeUndefined();
  expect(endpoint.writtenAtMs[KV_CACHE_USAGE.index]).toBe(30);
  expect([endpoint.values[WAITING_QUEUE_SIZE.index], endpoint.writtenAtMs[WAITING_QUEUE_SIZE.index]]).toEqual([0, 10]);
});

test("a table of the stated length has room for every slot and none to spare", () => {
  expect(slotTableLength([])).toBe(0);
  fc.assert(
    fc.property(fc.array(fc.nat(500), { minLength: 1 }), (slots) => {
      const endpoints = slots.map((slot) => new Endpoint(slot, buildEndpoint(0).metadata));
      expect(slotTableLength(endpoints)).toBe(Math.max(...slots) + 1);
    }),
  );
});
