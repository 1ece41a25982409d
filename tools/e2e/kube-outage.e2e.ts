import { afterAll, beforeAll, expect, test } from "vitest";
import { KubeCluster, namespace } from "./kube-cluster.ts";
import { createPod, deletePod, putPool, setPodStatus } from "./kube-objects.ts";
import { KubePicker } from "./kube-picker.ts";
import { parts } from "./parts.ts";
import { freePort, Running } from "./running.ts";
import { post, until } from "./stack.ts";

const cluster = new KubeCluster();
const pickers: KubePicker[] = [];
let sim: Running;
let epp: KubePicker;
let port = 0;

const ask = () => post(epp.proxy, "/v1/completions", { model: "Qwen/Qwen3-8B", prompt: "p", max_tokens: 1 });
const age = () => epp.metric('llm_d_epp_kubernetes_state_age_seconds{resource="pods"}');
const connected = () => epp.metric('llm_d_epp_kubernetes_connected{resource="pods"}');

beforeAll(async () => {
  await cluster.start();
  await cluster.installCrds();
  port = await freePort();
  sim = new Running("sim", parts.modelSim, ["--port", String(port)]);
  await sim.json((value) => value["event"] === "listening");
  await putPool(cluster, "pool", { app: "vllm" }, [port]);
  for (const name of ["a", "b", "c"]) await createPod(cluster, name);
}, 240_000);
afterAll(async () => {
  await Promise.all(pickers.map((each) => each.stop("SIGKILL")));
  await sim?.stop("SIGKILL");
  await cluster.stop();
});

test("with the API server away at the start, it listens, is not ready, and becomes ready when the API server comes", async () => {
  await cluster.stopApi();
  epp = new KubePicker(cluster, "epp");
  pickers.push(epp);
  await epp.listening();
  await until("it says so", () => epp.said("Kubernetes cannot be read yet").length > 0);
  expect(await epp.isReady()).toBe(false);
  await cluster.startApi();
  await epp.ready();
  await epp.has(["a-rank-0", "b-rank-0", "c-rank-0"]);
});

test("while the API server is away it stays ready, serves from the last state, and says how old that is", async () => {
  await cluster.stopApi();
  await until("it noticed", async () => (await connected()) === 0);
  const before = (await age())!;
  for (let i = 0; i < 20; i++) {
    expect((await ask()).status).toBe(200);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  expect(await epp.isReady()).toBe(true);
  expect(await epp.endpoints()).toHaveLength(3);
  expect((await age())! - before).toBeGreaterThan(1.5);
  const lines = epp.said("no contact with Kubernetes: serving on from the last state");
  expect(lines.filter((line) => line.includes('"resource":"pods"'))).toHaveLength(1);
});

test("what happened meanwhile is caught up with: a pod that vanished without a trace, one that came, one not ready", async () => {
  // Nobody watches: no event of this deletion will ever be delivered.
  await cluster.deleteFromEtcd(`/registry/pods/${namespace}/b`);
  await cluster.startApi();
  const upAtMs = performance.now();
  await epp.has(["a-rank-0", "c-rank-0"]);
  console.log(
    `a deletion that was missed was noticed ${(performance.now() - upAtMs).toFixed(0)} ms after the API server was ready`,
  );
  await createPod(cluster, "d");
  await setPodStatus(cluster, "c", { ready: false });
  await epp.has(["a-rank-0", "d-rank-0"]);
  expect(await connected()).toBe(1);
  expect(epp.said('"msg":"contact with Kubernetes"').length).toBeGreaterThan(0);
}, 120_000);

test("after several outages in a row it still catches up within seconds", async () => {
  const took: number[] = [];
  for (let i = 0; i < 3; i++) {
    await cluster.stopApi();
    await until("it noticed", async () => (await connected()) === 0);
    await new Promise((resolve) => setTimeout(resolve, 3000));
    await cluster.startApi();
    await createPod(cluster, `late-${i}`);
    const tookMs = await epp.has(["a-rank-0", "d-rank-0", `late-${i}-rank-0`]);
    took.push(Math.round(tookMs));
    await deletePod(cluster, `late-${i}`);
    await epp.has(["a-rank-0", "d-rank-0"]);
  }
  console.log(`caught up ${took.join(", ")} ms after the pod was made`);
  // The longest pause between two tries is 5 s; the rest is the machine's.
  expect(Math.max(...took)).toBeLessThan(12_000);
}, 240_000);

test("an API server that goes silent without closing anything is noticed, and what it delivers later counts", async () => {
  cluster.signalApi("SIGSTOP");
  try {
    const startedAtMs = performance.now();
    await until("it noticed", async () => (await connected()) === 0);
    console.log(`silence noticed after ${((performance.now() - startedAtMs) / 1000).toFixed(1)} s`);
    expect((await ask()).status).toBe(200);
  } finally {
    cluster.signalApi("SIGCONT");
  }
  await createPod(cluster, "e");
  await epp.has(["a-rank-0", "d-rank-0", "e-rank-0"]);
}, 120_000);
