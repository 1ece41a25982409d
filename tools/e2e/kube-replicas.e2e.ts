import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readObjects } from "../deploy/helm.ts";
import { root } from "../workspace-packages.ts";
import { KubeCluster, namespace } from "./kube-cluster.ts";
import { healthOf, healthServices } from "./kube-health.ts";
import { createPod, putPool } from "./kube-objects.ts";
import { KubePicker, type PickerOptions } from "./kube-picker.ts";
import { parts } from "./parts.ts";
import { until } from "./stack.ts";

const cluster = new KubeCluster();
const pickers: KubePicker[] = [];
const elect = "--ha-enable-leader-election";
const leasePath = `/apis/coordination.k8s.io/v1/namespaces/${namespace}/leases/epp-${namespace}-pool.llm-d.ai`;
const extProc = "envoy.service.ext_proc.v3.ExternalProcessor";

const replica = (name: string, options: PickerOptions = {}): KubePicker => {
  const started = new KubePicker(cluster, name, { flags: [elect], ...options });
  pickers.push(started);
  return started;
};
const leads = async (picker: KubePicker): Promise<boolean> => (await picker.metric("llm_d_epp_leader")) === 1;
const health = (picker: KubePicker) => healthOf(picker.ports.health, healthServices);
const lease = async (): Promise<Record<string, unknown>> =>
  (await cluster.get(leasePath)).body["spec"] as Record<string, unknown>;

beforeAll(async () => {
  await cluster.start();
  await cluster.installCrds();
  await putPool(cluster, "pool", { app: "vllm" }, [8000]);
  await createPod(cluster, "a");
}, 240_000);
afterAll(async () => {
  await Promise.all(pickers.map((each) => each.stop("SIGKILL")));
  await cluster.stop();
});

describe("two replicas", () => {
  let first: KubePicker;
  let second: KubePicker;

  test("one leads and is ready; the other stands by, alive and with the endpoints known", async () => {
    first = await replica("first").ready();
    second = await replica("second").listening();
    await second.has(["a-rank-0"]);
    expect([await leads(first), await leads(second)]).toEqual([true, false]);
    expect(await health(first)).toEqual({
      "": "SERVING",
      readiness: "SERVING",
      liveness: "SERVING",
      [extProc]: "SERVING",
      "inference-extension": "SERVICE_UNKNOWN",
    });
    expect(await health(second)).toEqual({
      "": "NOT_SERVING",
      readiness: "NOT_SERVING",
      liveness: "SERVING",
      [extProc]: "NOT_SERVING",
      "inference-extension": "SERVICE_UNKNOWN",
    });
    expect(second.said("another replica leads").length).toBeGreaterThan(0);
    expect(await lease()).toMatchObject({ leaseDurationSeconds: 15, leaseTransitions: 0 });
  });

  test("SIGTERM: the leader gives the lease back at once, and the other is ready in moments", async () => {
    const atMs = performance.now();
    first.running.signal("SIGTERM");
    await until("the second leads", () => leads(second));
    await until("the second is ready", async () => (await health(second))[extProc] === "SERVING");
    console.log(`fail-over after SIGTERM: ${((performance.now() - atMs) / 1000).toFixed(1)} s`);
    // Had it not been given back, it would have run out 13 seconds later at the soonest.
    expect(performance.now() - atMs).toBeLessThan(12_000);
    expect(await first.running.exited).toBe(0);
    expect(await lease()).toMatchObject({ leaseTransitions: 1 });
  });

  test("a leader that dies is replaced once its lease has run out, not before", async () => {
    const third = await replica("third").listening();
    await until("it stands by", () => third.said("another replica leads").length > 0);
    await until("the second renewed", async () => (await lease())["leaseTransitions"] === 1);
    const atMs = performance.now();
    await second.stop("SIGKILL");
    await until("the third leads", () => leads(third));
    const tookMs = performance.now() - atMs;
    console.log(`fail-over after a kill: ${(tookMs / 1000).toFixed(1)} s`);
    // The last renewal is up to 2 s and a bit old when the leader dies.
    expect(tookMs).toBeGreaterThan(12_000);
    expect(tookMs).toBeLessThan(25_000);
    first = third;
  });

  test("a leader whose name is replaced in the lease stops to serve and ends with 1", async () => {
    const now = (await cluster.get(leasePath)).body;
    const spec = { ...(now["spec"] as object), holderIdentity: "somebody-else" };
    await cluster.must("PUT", leasePath, { ...now, spec });
    expect(await first.running.exited).toBe(1);
    expect(first.said("leadership lost").length).toBe(1);
  });
});

test("a leader cut off from the API server is unready before its lease has run out, and ends with 1", async () => {
  // The lease that somebody else holds runs out first.
  const cutOff = await replica("cut-off").listening();
  await until("it leads", () => leads(cutOff));
  const atMs = performance.now();
  cluster.signalApi("SIGSTOP");
  try {
    await until(
      "it is not ready",
      async () => (await health(cutOff).catch(() => undefined))?.[extProc] !== "SERVING",
      20_000,
    );
    const tookMs = performance.now() - atMs;
    console.log(`cut off from the API server: unready after ${(tookMs / 1000).toFixed(1)} s`);
    expect(tookMs).toBeGreaterThan(7_500);
    expect(tookMs).toBeLessThan(13_000);
    expect(await cutOff.running.exited).toBe(1);
  } finally {
    cluster.signalApi("SIGCONT");
  }
}, 120_000);

test("with haPopulateNonLeaderDatastore=false a standby follows nothing until it leads", async () => {
  const config = "featureGates: [haPopulateNonLeaderDatastore=false]\n";
  const leader = replica("leader", { config });
  await leader.listening();
  await until("it leads", () => leads(leader));
  await leader.has(["a-rank-0"]);
  const standby = await replica("standby", { config }).listening();
  await until("it stands by", () => standby.said("standing by").length > 0);
  expect(await standby.endpoints()).toEqual([]);
  await leader.stop();
  await until("it leads", () => leads(standby));
  await standby.has(["a-rank-0"]);
  expect(await standby.stop()).toBe(0);
}, 120_000);

describe("the metrics port", () => {
  let picker: KubePicker;
  const get = async (path: string, token?: string): Promise<readonly [number, string]> => {
    const headers: Record<string, string> = token === undefined ? {} : { authorization: `Bearer ${token}` };
    const reply = await fetch(`http://127.0.0.1:${picker.ports.metrics}${path}`, { headers });
    return [reply.status, await reply.text()];
  };

  beforeAll(async () => {
    picker = await replica("guarded", { flags: ["--metrics-endpoint-auth=true"] }).ready();
  });

  test("without a token and with one that nobody knows it answers 401", async () => {
    expect(await get("/metrics")).toEqual([401, "Unauthorized\n"]);
    expect(await get("/metrics", "made-up")).toEqual([401, "Unauthorized\n"]);
  });

  test("a user who may not read metrics gets 403 by name, one who may gets the page", async () => {
    expect(await get("/metrics", "nobody-token")).toEqual([403, "Authorization denied for user nobody\n"]);
    const [status, page] = await get("/metrics", "reader-token");
    expect([status, page.includes("llm_d_epp_info")]).toEqual([200, true]);
    expect(page).toMatch(/llm_d_epp_metrics_auth_total\{result="denied"\} 1/);
  });

  test("rights are asked for each path", async () => {
    expect((await get("/debug/plugins/state", "reader-token"))[0]).toBe(403);
    expect((await get("/debug/plugins/state", "admin-token"))[0]).toBe(200);
    expect((await get("/nothing-here", "reader-token"))[0]).toBe(403);
  });

  test("a service account's own token works", async () => {
    const accounts = `/api/v1/namespaces/${namespace}/serviceaccounts`;
    await cluster.must("POST", accounts, { metadata: { name: "prometheus" } });
    await cluster.must("POST", "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", {
      metadata: { name: "prometheus-metrics" },
      roleRef: { kind: "ClusterRole", name: "epp-metrics", apiGroup: "rbac.authorization.k8s.io" },
      subjects: [{ kind: "ServiceAccount", name: "prometheus", namespace }],
    });
    const token = await cluster.accountToken("prometheus");
    await until("the right is known", async () => (await get("/metrics", token))[0] === 200);
  });

  test("explain and state work with a token and the right that the documentation names, and with nothing less", async () => {
    const text = readFileSync(join(root, "apps/epp/docs/operations.md"), "utf8");
    const [role] = [...text.matchAll(/```yaml\n([\s\S]*?)```/g)].flatMap(([, yaml = ""]) =>
      yaml.includes("kind: ClusterRole\n") ? readObjects(yaml) : [],
    );
    await cluster.must("POST", `/api/v1/namespaces/${namespace}/serviceaccounts`, { metadata: { name: "operator" } });
    const tokenFile = join(cluster.directory, "operator-token");
    writeFileSync(tokenFile, await cluster.accountToken("operator"));
    const address = ["--address", `127.0.0.1:${picker.ports.metrics}`];
    const epp = (...args: readonly string[]) => spawnSync(parts.epp, [...args, ...address], { encoding: "utf8" });
    expect(epp("state").stderr).toContain("--token-file");
    const denied = epp("state", "--token-file", tokenFile);
    expect([denied.status, denied.stderr]).toEqual([1, expect.stringContaining("nonResourceURLs")]);
    const rbac = "/apis/rbac.authorization.k8s.io/v1";
    await cluster.must("POST", `${rbac}/clusterroles`, role);
    await cluster.must("POST", `${rbac}/clusterrolebindings`, {
      metadata: { name: "operator" },
      roleRef: { kind: "ClusterRole", name: role!.metadata.name, apiGroup: "rbac.authorization.k8s.io" },
      subjects: [{ kind: "ServiceAccount", name: "operator", namespace }],
    });
    await until("the right is known", async () => epp("state", "--token-file", tokenFile).status === 0);
    expect(epp("state", "--token-file", tokenFile).stdout).toContain("prefix-cache");
    expect(epp("explain", "--token-file", tokenFile).stderr).toContain("keeps no decisions yet");
  });

  test("with the API server away known users read on, and others get 500", async () => {
    expect((await get("/metrics", "reader-token"))[0]).toBe(200);
    await cluster.stopApi();
    expect((await get("/metrics", "reader-token"))[0]).toBe(200);
    expect(await get("/metrics", "another")).toEqual([500, "Authentication failed\n"]);
  });
});
