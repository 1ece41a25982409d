import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { readObjects } from "../deploy/helm.ts";
import { root } from "../workspace-packages.ts";
import { KubeCluster, namespace } from "./kube-cluster.ts";
import { createPod, deletePod, podsPath, poolsPath, putPool } from "./kube-objects.ts";
import { parts } from "./parts.ts";
import { metricOn } from "./pd-stack.ts";
import { freePort, Running } from "./running.ts";
import { type Answer, post, until } from "./stack.ts";

const cluster = new KubeCluster();
const programs: Running[] = [];
const chat = { model: "Qwen/Qwen3-8B", max_tokens: 2, messages: [{ role: "user", content: "hello" }] };
let [prefillPort, decodePort] = [0, 0];

async function sim(host: string, port: number, role: string): Promise<void> {
  const flags = ["--name", host, "--host", host, "--port", String(port), "--role", role];
  const running = new Running(`sim ${host}`, parts.modelSim, flags);
  programs.push(running);
  await running.json((value) => value["event"] === "listening");
}

/** A sidecar before the decode server. */
class Sidecar {
  readonly running: Running;
  readonly #port: number;
  readonly metricsPort: number;

  constructor(kubeconfig: string, ports: readonly [port: number, metricsPort: number], flags: readonly string[]) {
    [this.#port, this.metricsPort] = ports;
    this.running = new Running(
      "sidecar",
      join(root, "apps/pd-sidecar/bin/pd-sidecar"),
      [
        ...["--bind-address=127.0.0.1", "--secure-proxy=false", `--port=${this.#port}`],
        ...[`--model-server-port=${decodePort}`, `--metrics-port=${this.metricsPort}`],
        ...flags,
      ],
      // As a manifest of a model server sets it.
      { KUBECONFIG: kubeconfig, INFERENCE_POOL: `${namespace}/pool` },
    );
    programs.push(this.running);
  }

  async ready(): Promise<this> {
    await this.running.json((line) => line["msg"] === "ready");
    return this;
  }

  get isReady(): boolean {
    return this.running.lines.some((line) => line.includes('"msg":"ready"'));
  }

  /** Asks for an answer whose prompt is to be computed on a host. */
  ask(host: string): Promise<Answer> {
    const headers = { "x-prefiller-host-port": `${host}:${prefillPort}` };
    return post(`http://127.0.0.1:${this.#port}`, "/v1/chat/completions", chat, headers);
  }

  async status(host: string): Promise<number> {
    return (await this.ask(host)).status;
  }

  restricted(): Promise<number> {
    return metricOn(this.metricsPort, "pd_sidecar_targets_restricted");
  }

  said(text: string): boolean {
    return this.running.lines.some((line) => line.includes(text));
  }
}

async function start(kubeconfig: string, ...flags: readonly string[]): Promise<Sidecar> {
  return new Sidecar(kubeconfig, [await freePort(), await freePort()], flags);
}

const required = "--enable-ssrf-protection";
let sidecar: Sidecar;
let account = "";

/** What the repository says that a sidecar needs. */
async function applyRights(): Promise<void> {
  const plurals: Record<string, string> = { Role: "roles", RoleBinding: "rolebindings" };
  for (const object of readObjects(readFileSync(join(root, "apps/pd-sidecar/deploy/rbac.yaml"), "utf8"))) {
    if (object.kind === "ServiceAccount") continue;
    const path = `/apis/${object.apiVersion}/namespaces/${object.metadata.namespace}/${plurals[object.kind]}`;
    await cluster.must("POST", path, object);
  }
}

beforeAll(async () => {
  await cluster.start();
  [prefillPort, decodePort] = [await freePort(), await freePort()];
  for (const host of ["127.0.0.2", "127.0.0.3", "127.0.0.4"]) await sim(host, prefillPort, "prefill");
  await sim("127.0.0.1", decodePort, "decode");
  await cluster.must("POST", `/api/v1/namespaces/${namespace}/serviceaccounts`, { metadata: { name: "model-server" } });
  account = await cluster.accountKubeconfig("model-server");
  await cluster.installCrds("inferencepools.yaml");
  await putPool(cluster, "pool", { app: "vllm" }, [8000]);
  await createPod(cluster, "prefill-a", { ip: "127.0.0.2" });
}, 300_000);
afterAll(async () => {
  await Promise.all(programs.map((program) => program.stop("SIGKILL")));
  await cluster.stop();
});

test("without rights a sidecar that must know the pool does not listen, says why, and can be stopped", async () => {
  const stuck = await start(account, required);
  await until("it says so", () => stuck.said('cannot list resource \\"inferencepools\\"'));
  expect(stuck.isReady).toBe(false);
  await expect(stuck.ask("127.0.0.2")).rejects.toThrow();
  expect(await stuck.running.stop()).toBe(0);
});

test("without rights a sidecar whose pool is only named serves, and refuses nothing until it may see the pool", async () => {
  sidecar = await start(account, required);
  const open = await (await start(account)).ready();
  expect([await open.status("127.0.0.2"), await open.status("127.0.0.3")]).toEqual([200, 200]);
  expect(open.said("every target is allowed")).toBe(true);
  expect(await open.restricted()).toBe(0);
  expect(sidecar.isReady).toBe(false);
  await applyRights();
  await until("it restricts", async () => (await open.status("127.0.0.3")) === 403);
  expect([await open.status("127.0.0.2"), await open.restricted()]).toEqual([200, 1]);
  await open.running.stop();
});

test("with the rights of deploy/rbac.yaml a pod of the pool is used, and a foreign address is refused", async () => {
  await sidecar.ready();
  const used = await sidecar.ask("127.0.0.2");
  expect([used.status, used.headers.get("x-pd-way")]).toEqual([200, "prefill-decode"]);
  const refused = await sidecar.ask("127.0.0.3");
  expect([refused.status, refused.text]).toEqual([403, "Forbidden: prefill target not allowed by SSRF protection"]);
  expect(await sidecar.restricted()).toBe(1);
  expect(await metricOn(sidecar.metricsPort, "pd_sidecar_refused_targets_total", 'role="prefill"')).toBe(1);
  expect(await metricOn(sidecar.metricsPort, "pd_sidecar_kubernetes_connected", 'resource="pods"')).toBe(1);
});

test("a pod that comes is allowed, ready or not; one of another label, or that is removed, is refused", async () => {
  await createPod(cluster, "prefill-b", { ip: "127.0.0.3", ready: false });
  await createPod(cluster, "stranger", { ip: "127.0.0.4", labels: { app: "other" } });
  await until("the pod is allowed", async () => (await sidecar.status("127.0.0.3")) === 200);
  expect(await sidecar.status("127.0.0.4")).toBe(403);
  await cluster.must("PATCH", `${podsPath}/stranger`, { metadata: { labels: { app: "vllm" } } });
  await until("the label counts", async () => (await sidecar.status("127.0.0.4")) === 200);
  await deletePod(cluster, "stranger");
  await until("the pod is refused", async () => (await sidecar.status("127.0.0.4")) === 403);
  expect(await sidecar.status("127.0.0.3")).toBe(200);
});

test("while the API server is away the pods known stay allowed; what was missed counts when it is back", async () => {
  await cluster.stopApi();
  await until("it is noticed", () => sidecar.said("no contact with Kubernetes"));
  expect(await sidecar.status("127.0.0.3")).toBe(200);
  expect(await sidecar.status("127.0.0.4")).toBe(403);
  const late = await start(account, required);
  await until("it waits", () => late.said("cannot be read yet"));
  expect(late.isReady).toBe(false);
  await cluster.deleteFromEtcd(`/registry/pods/${namespace}/prefill-b`);
  await cluster.startApi();
  await until("the pod is refused", async () => (await sidecar.status("127.0.0.3")) === 403);
  expect(await sidecar.status("127.0.0.2")).toBe(200);
  await late.ready();
  expect([await late.status("127.0.0.2"), await late.status("127.0.0.3")]).toEqual([200, 403]);
  expect(await late.running.stop()).toBe(0);
}, 240_000);

test("the pool deleted: every address is refused, requests without one are served; made again: allowed", async () => {
  await cluster.must("DELETE", `${poolsPath}/pool`);
  await until("it is refused", async () => (await sidecar.status("127.0.0.2")) === 403);
  const plain = await start(account, required);
  await plain.ready();
  expect(plain.said("there is no InferencePool")).toBe(true);
  expect(await plain.status("127.0.0.2")).toBe(403);
  await putPool(cluster, "pool", { app: "vllm" }, [8000]);
  await until("it is allowed", async () => (await sidecar.status("127.0.0.2")) === 200);
  await until("it is allowed there too", async () => (await plain.status("127.0.0.2")) === 200);
  expect(await plain.running.stop()).toBe(0);
});

test("without any way to the API server a sidecar that must know the pool ends with 1", async () => {
  const lost = await start("/nowhere/kubeconfig", required);
  expect(await lost.running.exited).toBe(1);
  expect(lost.said("--allowed-targets")).toBe(true);
});
