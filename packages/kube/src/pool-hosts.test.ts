import { noMetrics, silentLogger, systemClock } from "@pointsman/core";
import { afterEach, beforeEach, expect, test } from "vitest";
import { answer, FakeApi, status, until } from "../test/fake-api.ts";
import { realTimers } from "../test/real-timers.ts";
import { ApiClient } from "./api-client.ts";
import { PoolHosts } from "./pool-hosts.ts";

const pools = "/apis/inference.networking.k8s.io/v1/namespaces/ns/inferencepools";
const formerPools = "/apis/inference.networking.x-k8s.io/v1alpha2/namespaces/ns/inferencepools";
const pods = "/api/v1/namespaces/ns/pods";

let api: FakeApi;
const running: PoolHosts[] = [];
beforeEach(async () => {
  api = new FakeApi(pools, formerPools, pods);
  await api.start();
});
afterEach(async () => {
  for (const hosts of running.splice(0)) hosts.stop();
  await api.stop();
});

function follow(group = "inference.networking.k8s.io"): PoolHosts {
  const hosts = new PoolHosts({
    client: new ApiClient(api.access()),
    namespace: "ns",
    name: "p",
    group,
    clock: systemClock,
    timers: realTimers,
    random: () => 0.5,
    logger: silentLogger,
    metrics: noMetrics,
    limits: { firstBackOffMs: 5, mostBackOffMs: 20, absentMs: 20, goneMs: 40 },
  });
  running.push(hosts);
  hosts.start();
  return hosts;
}

const putPool = (labels: object = { app: "x" }): void => {
  const spec = { selector: { matchLabels: labels }, targetPorts: [{ number: 8000 }] };
  api.put(pools, { metadata: { name: "p", namespace: "ns" }, spec });
};
const putPod = (name: string, ips: readonly string[], more: { phase?: string; app?: string } = {}): void => {
  const { phase = "Running", app = "x" } = more;
  api.put(pods, {
    metadata: { name, namespace: "ns", labels: { app }, uid: name },
    status: { phase, podIP: ips[0], podIPs: ips.map((ip) => ({ ip })) },
  });
};

test("addresses of both families and the name of a selected pod are hosts, ready or not", async () => {
  putPod("a", ["10.0.0.1", "FD00:0::1"]);
  putPod("other", ["10.0.0.9"], { app: "y" });
  putPool();
  const hosts = follow();
  await hosts.listed;
  expect(["10.0.0.1", "fd00::1", "a"].map((host) => hosts.has(host))).toEqual([true, true, true]);
  expect(["10.0.0.9", "other", "localhost", "10.0.0.2"].filter((host) => hosts.has(host))).toEqual([]);
  expect([hosts.missing(), hosts.wasKnown()]).toEqual([undefined, true]);
});

test("a name that is an address or a domain leads elsewhere, and is no host", async () => {
  putPod("169.254.169.254", ["10.0.0.1"]);
  putPod("metadata.google.internal", ["10.0.0.2"]);
  putPod("localhost", ["10.0.0.3"]);
  putPod("bad-address", ["127.1"]);
  putPool();
  const hosts = follow();
  await hosts.listed;
  const names = ["169.254.169.254", "metadata.google.internal", "localhost", "bad-address", "127.1"];
  expect(names.filter((host) => hosts.has(host))).toEqual([]);
  expect(hosts.has("10.0.0.3")).toBe(true);
});

test("a pod that is gone or has finished is no host, unless its address is another pod's by then", async () => {
  putPod("a", ["10.0.0.1"]);
  putPod("b", ["10.0.0.2"]);
  putPod("evicted", ["10.0.0.1"], { phase: "Failed" });
  putPool();
  const hosts = follow();
  await hosts.listed;
  await until("the watch runs", () => api.watches === 2);
  expect(hosts.has("evicted")).toBe(false);
  // The address goes to another pod before the former one is told to be gone.
  putPod("c", ["10.0.0.2"]);
  api.remove(pods, "b");
  await until("b is gone", () => !hosts.has("b"));
  expect(hosts.has("10.0.0.2")).toBe(true);
  putPod("a", ["10.0.0.1"], { phase: "Succeeded" });
  await until("a has finished", () => !hosts.has("10.0.0.1"));
  api.remove(pods, "c");
  await until("c is gone", () => !hosts.has("10.0.0.2"));
});

test("another selector changes the hosts once its pods are known", async () => {
  putPod("a", ["10.0.0.1"]);
  putPod("b", ["10.0.0.2"], { app: "y" });
  putPool();
  const hosts = follow();
  await hosts.listed;
  await until("the watch runs", () => api.watches === 2);
  putPool({ app: "y" });
  await until("the hosts are the other's", () => hosts.has("10.0.0.2") && !hosts.has("10.0.0.1"));
});

test("nothing is known before the API server answers, and everything is kept while it is away", async () => {
  putPod("a", ["10.0.0.1"]);
  putPod("b", ["10.0.0.2"]);
  putPool();
  api.intercept = (_request, response) => {
    answer(response, 403, status(403, "Forbidden", "pools are forbidden"));
    return "done";
  };
  const hosts = follow();
  let listed = false;
  void hosts.listed.then(() => {
    listed = true;
  });
  await until("it is told why", () => hosts.missing()?.includes("pools are forbidden") === true);
  expect([listed, hosts.wasKnown(), hosts.has("10.0.0.1")]).toEqual([false, false, false]);
  api.intercept = undefined;
  await hosts.listed;
  expect(hosts.has("10.0.0.1")).toBe(true);
  await api.stop();
  api.remove(pods, "b", true);
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect([hosts.has("10.0.0.1"), hosts.has("10.0.0.2"), hosts.missing()]).toEqual([true, true, undefined]);
  await api.start();
  await until("what was missed is caught up with", () => !hosts.has("10.0.0.2"));
});

test("without a pool there are no hosts, whether it was never there or is deleted", async () => {
  putPod("a", ["10.0.0.1"]);
  const hosts = follow();
  await hosts.listed;
  expect([hosts.missing(), hosts.wasKnown()]).toEqual([expect.stringContaining("no InferencePool ns/p"), false]);
  putPool();
  await until("the pod is a host", () => hosts.has("a"));
  api.remove(pools, "p");
  await until("it is none", () => !hosts.has("a"));
  expect([hosts.missing(), hosts.wasKnown()]).toEqual([expect.stringContaining("no InferencePool ns/p"), true]);
  putPool();
  await until("it is one again", () => hosts.has("a"));
});

test("a pool of the former group is followed by its flat selector", async () => {
  putPod("a", ["10.0.0.1"]);
  api.put(formerPools, {
    metadata: { name: "p", namespace: "ns" },
    spec: { selector: { app: "x" }, targetPortNumber: 8000 },
  });
  const hosts = follow("inference.networking.x-k8s.io");
  await hosts.listed;
  expect(hosts.has("10.0.0.1")).toBe(true);
});

test("metrics have the program's own prefix", async () => {
  const names: string[] = [];
  const metrics = {
    ...noMetrics,
    gauge: (options: Parameters<typeof noMetrics.gauge>[0]) => {
      names.push(options.name);
      return noMetrics.gauge(options);
    },
  };
  new PoolHosts({
    client: new ApiClient(api.access()),
    namespace: "ns",
    name: "p",
    group: "g",
    clock: systemClock,
    timers: realTimers,
    random: () => 0.5,
    logger: silentLogger,
    metrics,
    metricPrefix: "pd_sidecar",
  }).stop();
  expect(names).toContain("pd_sidecar_kubernetes_connected");
  expect(names.filter((name) => name.startsWith("llm_d_epp"))).toEqual([]);
});
