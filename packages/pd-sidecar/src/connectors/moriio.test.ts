import { noMetrics, silentLogger } from "@pointsman/core";
import { scanJson } from "@pointsman/core/json";
import { expect, test } from "vitest";
import { SidecarMetrics } from "../sidecar-metrics.ts";
import { MoriioHosts } from "./moriio-hosts.ts";
import { decodeWriteParams, type MoriioSettings } from "./moriio-params.ts";
import { moriioRank } from "./moriio-rank.ts";

test.each([
  ["abc", 8, 2],
  ["cmpl-foo-0", 8, 5],
  ["00000000-0000-0000-0000-000000000000", 8, 6],
  ["abc", 16, 2],
  ["abc", 1, 0],
])("request %s of %i ranks is on rank %i", (id, ranks, expected) => {
  expect(moriioRank(id, ranks)).toBe(expected);
});

const settings: MoriioSettings = {
  localPodIp: "10.0.0.9",
  decodeNotifyPort: 1,
  decodeHandshakePort: 2,
  prefillNotifyPort: 3,
  prefillHandshakePort: 4,
  tpSize: 1,
  dpSize: 8,
  dpSizeLocal: 0,
  prefillHosts: undefined,
  decodeHosts: undefined,
};

test.each([
  [
    '{"remote_dp_rank":3,"x":12345678901234567890}',
    3,
    '{"remote_dp_rank":3,"x":12345678901234567890,"remote_dp_rank_override":true,"transfer_id":"tx","remote_notify_port":1,"remote_handshake_port":2,"remote_dp_size":8}',
  ],
  [
    '{"remote_dp_rank":8,"transfer_id":"own"}',
    5,
    '{"remote_dp_rank":5,"transfer_id":"own","remote_dp_rank_override":true,"remote_notify_port":1,"remote_handshake_port":2,"remote_dp_size":8}',
  ],
])("%s leads decode to rank %i and is filled in", (text, rank, expected) => {
  const document = scanJson(Buffer.from(text));
  if (!document.ok) throw new Error(document.message);
  const result = decodeWriteParams(settings, document.root, 5, "tx");
  expect(result.rank).toBe(rank);
  expect(Buffer.from(result.text).toString()).toBe(expected);
});

test("old addresses are used while names are looked up again, once at a time", async () => {
  let nowMs = 0;
  let lookups = 0;
  let address = "10.0.0.1";
  const hosts = await MoriioHosts.resolve({
    flag: "moriio-remote-hosts",
    names: ["prefill.example", "10.9.9.9"],
    ttlMs: 1000,
    timeoutMs: 1000,
    metrics: new SidecarMetrics(noMetrics),
    logger: silentLogger,
    resolveHost: async () => {
      lookups++;
      return address;
    },
    nowMs: () => nowMs,
  });
  expect(hosts.addresses).toEqual(["10.0.0.1", "10.9.9.9"]);
  address = "10.0.0.2";
  nowMs = 999;
  expect(hosts.addresses[0]).toBe("10.0.0.1");
  expect(lookups).toBe(1);
  nowMs = 1000;
  expect([hosts.addresses[0], hosts.addresses[0]]).toEqual(["10.0.0.1", "10.0.0.1"]);
  await hosts.refreshing;
  expect(hosts.addresses[0]).toBe("10.0.0.2");
  expect(lookups).toBe(2);
});

test("a name that cannot be looked up at the start is fatal and says which flag", async () => {
  const resolving = MoriioHosts.resolve({
    flag: "moriio-decode-hosts",
    names: ["nowhere.example"],
    ttlMs: 1000,
    timeoutMs: 1000,
    metrics: new SidecarMetrics(noMetrics),
    logger: silentLogger,
    resolveHost: () => Promise.reject(new Error("not found")),
  });
  await expect(resolving).rejects.toThrow("--moriio-decode-hosts: not found");
});
