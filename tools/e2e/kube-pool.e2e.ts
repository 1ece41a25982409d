import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { KubeCluster } from "./kube-cluster.ts";
import { healthOf, healthServices } from "./kube-health.ts";
import {
  createObjective,
  createPod,
  createRewrite,
  deletePod,
  objectivesPath,
  podsPath,
  poolsPath,
  putPool,
  rewritesPath,
  setPodStatus,
} from "./kube-objects.ts";
import { KubePicker } from "./kube-picker.ts";
import { parts } from "./parts.ts";
import { freePort, Running } from "./running.ts";
import { post, until } from "./stack.ts";

const cluster = new KubeCluster();
const pickers: KubePicker[] = [];
const sims: Running[] = [];
let port = 0;
let epp: KubePicker;

function picker(
  ...args: ConstructorParameters<typeof KubePicker> extends [unknown, ...infer R] ? R : never
): KubePicker {
  const started = new KubePicker(cluster, ...args);
  pickers.push(started);
  return started;
}
let asked = 0;
// Prompts differ, so that none is sent where an equal one went.
const ask = (model = "Qwen/Qwen3-8B", headers: Record<string, string> = {}) =>
  post(epp.proxy, "/v1/completions", { model, prompt: `prompt ${asked++}`, max_tokens: 1 }, headers);

beforeAll(async () => {
  await cluster.start();
  port = await freePort();
  // One model server for each address that pods get: their port is the pool's.
  for (const host of ["127.0.0.1", "127.0.0.2"]) {
    const sim = new Running(`sim ${host}`, parts.modelSim, [
      "--name",
      host,
      "--host",
      host,
      "--port",
      String(port),
      "--lora",
      "tuned",
    ]);
    sims.push(sim);
    await sim.json((value) => value["event"] === "listening");
  }
}, 180_000);
afterAll(async () => {
  await Promise.all(pickers.map((each) => each.stop("SIGKILL")));
  await Promise.all(sims.map((sim) => sim.stop("SIGKILL")));
  await cluster.stop();
});

describe("a picker that follows an InferencePool", () => {
  test("starts before the CRD is installed: listens, is alive and not ready, and says what is missing", async () => {
    epp = await picker("epp").listening();
    await until("it says what is missing", () => epp.said("install the CRD").length > 0);
    const [notReady, health] = ["NOT_SERVING", await healthOf(epp.ports.health, healthServices)];
    expect(health).toEqual({
      "": notReady,
      readiness: notReady,
      liveness: "SERVING",
      "envoy.service.ext_proc.v3.ExternalProcessor": notReady,
      "inference-extension": notReady,
    });
    expect(await epp.isReady()).toBe(false);
    expect((await ask()).status).toBe(503);
  });

  test("notices the CRD and the pool when they come, and is ready with the pods that are ready", async () => {
    await createPod(cluster, "a", { ip: "127.0.0.1" });
    await createPod(cluster, "b", { ip: "127.0.0.2", ready: false });
    await createPod(cluster, "stranger", { labels: { app: "other" } });
    await cluster.installCrds("inferencepools.yaml");
    await until("it says that there is no pool", () => epp.said("there is no InferencePool").length > 0);
    await putPool(cluster, "pool", { app: "vllm" }, [port]);
    await epp.ready();
    await epp.has(["a-rank-0"]);
    const health = await healthOf(epp.ports.health, healthServices);
    expect(Object.values(health)).toEqual(healthServices.map(() => "SERVING"));
    const answer = await ask();
    expect([answer.status, answer.server]).toEqual([200, "127.0.0.1"]);
  });

  test("a pod that becomes ready is a candidate within moments, and stops to be one when it is not", async () => {
    await setPodStatus(cluster, "b", { ip: "127.0.0.2", ready: true });
    const tookMs = await epp.has(["a-rank-0", "b-rank-0"]);
    console.log(`ready pod known after ${tookMs.toFixed(0)} ms`);
    const served = new Set<string | undefined>();
    // A server whose page has not been read yet is not preferred to one that is known to be idle.
    await until("both serve", async () => served.add((await ask()).server).size === 2);
    await setPodStatus(cluster, "b", { ip: "127.0.0.2", ready: false });
    await epp.has(["a-rank-0"]);
  });

  test("labels decide: one that stops to match leaves, one that starts to match joins", async () => {
    await cluster.must("PATCH", `${podsPath}/a`, { metadata: { labels: { app: "drained" } } });
    await epp.has([]);
    expect((await ask()).status).toBe(503);
    await cluster.must("PATCH", `${podsPath}/stranger`, { metadata: { labels: { app: "vllm" } } });
    await cluster.must("PATCH", `${podsPath}/a`, { metadata: { labels: { app: "vllm" } } });
    await epp.has(["a-rank-0", "stranger-rank-0"]);
    await deletePod(cluster, "stranger");
    await epp.has(["a-rank-0"]);
  });

  test("a pod that terminates leaves at once, long before it is gone", async () => {
    await createPod(cluster, "c");
    await epp.has(["a-rank-0", "c-rank-0"]);
    await deletePod(cluster, "c", 30);
    await epp.has(["a-rank-0"]);
    expect((await cluster.get(`${podsPath}/c`)).status).toBe(200);
    await deletePod(cluster, "c");
    await until("it is gone", async () => (await cluster.get(`${podsPath}/c`)).status === 404);
    await epp.has(["a-rank-0"]);
  });

  test("several target ports are ranks, and the annotation says which serve", async () => {
    await putPool(cluster, "pool", { app: "vllm" }, [port, 9001]);
    await epp.has(["a-rank-0", "a-rank-1"]);
    const annotate = (value: string | null) =>
      cluster.must("PATCH", `${podsPath}/a`, { metadata: { annotations: { "llm-d.ai/active-ports": value } } });
    await annotate("9001");
    await epp.has(["a-rank-1"]);
    await annotate("");
    await epp.has([]);
    await annotate(null);
    await epp.has(["a-rank-0", "a-rank-1"]);
    await putPool(cluster, "pool", { app: "vllm" }, [port]);
    await epp.has(["a-rank-0"]);
  });

  test("another selector changes the endpoints", async () => {
    await createPod(cluster, "blue", { labels: { app: "blue" } });
    await putPool(cluster, "pool", { app: "blue" }, [port]);
    await epp.has(["blue-rank-0"]);
    await putPool(cluster, "pool", { app: "vllm" }, [port]);
    await epp.has(["a-rank-0"]);
    await deletePod(cluster, "blue");
  });

  test("objectives and rewrites count from the moment their CRDs are installed", async () => {
    await cluster.installCrds("inferenceobjectives.yaml", "inferencemodelrewrites.yaml");
    await createObjective(cluster, "gold", "pool", 7);
    await createObjective(cluster, "elsewhere", "other-pool", 9);
    await createRewrite(cluster, "rename", "pool", [
      { matches: [{ model: { value: "public" } }], targets: [{ modelRewrite: "tuned" }] },
    ]);
    await until("the rewrite works", async () => (await ask("public")).status === 200);
    const answer = await ask("public");
    expect(JSON.parse(answer.text)).toMatchObject({ model: "public" });
    expect(
      await epp.metric(
        'llm_d_epp_model_rewrite_decisions_total{model_rewrite_name="rename",model_name="public",target_model="tuned"}',
      ),
    ).toBeGreaterThan(0);
    const objective = (name: string) => ask("Qwen/Qwen3-8B", { "x-llm-d-inference-objective": name });
    const counted = async (priority: number): Promise<boolean> =>
      new RegExp(`llm_d_epp_request_total\\{.*priority="${priority}".*\\} [1-9]`).test(await epp.metrics());
    await until(
      "the objective counts",
      async () => {
        await objective("gold");
        return await counted(7);
      },
      40_000,
    );
    await objective("elsewhere");
    expect(await counted(9)).toBe(false);
  });

  test("changes and deletions of objectives and rewrites take effect", async () => {
    await cluster.must("PATCH", `${objectivesPath}/gold`, { spec: { priority: -3 } });
    await until("the other priority counts", async () => {
      await ask("Qwen/Qwen3-8B", { "x-llm-d-inference-objective": "gold" });
      return /llm_d_epp_request_total\{.*priority="-3".*\} [1-9]/.test(await epp.metrics());
    });
    await cluster.must("DELETE", `${rewritesPath}/rename`);
    await until("the model is unknown again", async () => (await ask("public")).status === 404);
  });

  test("the pool deleted: no endpoints, not ready; made again: everything is back", async () => {
    await cluster.must("DELETE", `${poolsPath}/pool`);
    await epp.has([]);
    expect(await epp.isReady()).toBe(false);
    expect(await healthOf(epp.ports.health, ["liveness", "readiness"])).toEqual({
      liveness: "SERVING",
      readiness: "NOT_SERVING",
    });
    await createRewrite(cluster, "rename", "pool", [{ targets: [{ modelRewrite: "tuned" }] }]);
    await putPool(cluster, "pool", { app: "vllm" }, [port]);
    await epp.has(["a-rank-0"]);
    expect(await epp.isReady()).toBe(true);
    expect((await ask("anything")).status).toBe(200);
    await ask("Qwen/Qwen3-8B", { "x-llm-d-inference-objective": "gold" });
    expect(await epp.metrics()).toMatch(/llm_d_epp_request_total\{.*priority="-3".*\} [1-9]/);
    await cluster.must("DELETE", `${rewritesPath}/rename`);
  });

  test("500 pods in a burst are all known moments after the last", async () => {
    const names = Array.from({ length: 500 }, (_, i) => `burst-${i}`);
    const left = [...names];
    await Promise.all(
      Array.from({ length: 16 }, async () => {
        for (let name = left.pop(); name !== undefined; name = left.pop()) {
          await createPod(cluster, name, { environment: 20 });
        }
      }),
    );
    const tookMs = await epp.has(
      [...names, "a"].map((name) => `${name}-rank-0`),
      60_000,
    );
    console.log(`500 pods known ${tookMs.toFixed(0)} ms after the last was made`);
    expect(await epp.metric('llm_d_epp_kubernetes_pods{state="eligible"}')).toBe(501);
  }, 180_000);

  test("a fresh start with 501 pods is ready with all of them", async () => {
    const fresh = picker("fresh");
    const startedAtMs = performance.now();
    await fresh.ready();
    console.log(`ready ${(performance.now() - startedAtMs).toFixed(0)} ms after the process was started`);
    expect(await fresh.endpoints()).toHaveLength(501);
    expect(await fresh.stop()).toBe(0);
  });

  test("all of them deleted at once are gone", async () => {
    const others = `${podsPath}?labelSelector=app%3Dvllm&fieldSelector=metadata.name%21%3Da`;
    await until(
      "the pods are deleted",
      async () => {
        await cluster.send("DELETE", `${others}&gracePeriodSeconds=0`, undefined, "admin").catch(() => undefined);
        return ((await cluster.get(others)).body["items"] as unknown[]).length === 0;
      },
      90_000,
    );
    await epp.has(["a-rank-0"]);
  }, 120_000);

  test("rights that are missing are told in the API server's words, and the process waits for them", async () => {
    const without = await picker("without-rights", { user: "nobody" }).listening();
    await until("it says so", () => without.said('cannot list resource \\"inferencepools\\"').length > 0);
    expect(await without.isReady()).toBe(false);
    expect(await without.stop()).toBe(0);
  });
});

describe("a picker that follows a selector", () => {
  const pool = ["--endpoint-selector=app in (vllm)", "--endpoint-target-ports=9100,9101"];

  test("has the selected pods with its own ports, is called like its Deployment, and needs no pool", async () => {
    const alone = picker("alone", { pool, environment: { POD_NAME: "my-epp-5f6b7c8d9-abcde" } });
    await alone.ready();
    await alone.has(["a-rank-0", "a-rank-1"]);
    expect(alone.said('"pool":"my-epp"').length).toBeGreaterThan(0);
    await createPod(cluster, "d", { labels: { app: "vllm" } });
    await alone.has(["a-rank-0", "a-rank-1", "d-rank-0", "d-rank-1"]);
    await deletePod(cluster, "d");
    await alone.has(["a-rank-0", "a-rank-1"]);
    expect(await alone.stop()).toBe(0);
  });

  test("without POD_NAME it does not start, and says why", async () => {
    const nameless = picker("nameless", { pool, environment: { POD_NAME: "" } });
    expect(await nameless.running.exited).toBe(2);
    expect(nameless.said("POD_NAME")).toHaveLength(1);
  });
});
