import type { Endpoint } from "@pointsman/core";
import { buildEndpoint, buildPlugin } from "@pointsman/testkit";
import { expect, test } from "vitest";
import { EndpointRecords } from "./endpoint-records.ts";
import approxPrefixCacheProducer from "./index.ts";
import { PrefixIndex } from "./prefix-index.ts";

test("the memory of dropped endpoints comes back in steps", () => {
  const pool: Endpoint[] = [buildEndpoint(0), buildEndpoint(1)];
  const { host, clock } = buildPlugin(approxPrefixCacheProducer, { endpoints: () => pool });
  const index = new PrefixIndex(1);
  const records = new EndpointRecords(index, host);
  const blocks = 10_000;
  const hashes = Uint32Array.from({ length: blocks * 2 }, (_, i) => i);
  for (const endpoint of pool) {
    expect(records.follow(endpoint, blocks)).toBe(true);
    index.insert(endpoint.id, hashes, 0, blocks);
  }
  const full = index.memoryBytes;
  for (const endpoint of pool) records.endpointChanged({ type: "delete", endpoint });
  expect([index.entries, index.memoryBytes]).toEqual([0, full]);
  clock.advance(50);
  expect(index.memoryBytes).toBe(full);
  clock.advance(50);
  expect(index.memoryBytes).toBeLessThan(full);
  clock.advance(50);
  expect(index.reclaim(1)).toBe(false);
});
