import { renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { KubeCluster } from "./kube-cluster.ts";
import { createPod, deletePod, podsPath, putPool } from "./kube-objects.ts";
import { KubePicker } from "./kube-picker.ts";
import { parts } from "./parts.ts";
import { freePort, Running } from "./running.ts";
import { post, until } from "./stack.ts";

const cluster = new KubeCluster();
const programs: { stop(signal: NodeJS.Signals): Promise<unknown> }[] = [];
const config = join(cluster.directory, "epp.yaml");
let epp: KubePicker;

/** A configuration; with a scope, only pods of a revision that has a ready pod of the scope get requests. */
function write(scope?: string): void {
  const screener = `  - type: disaggregatedset-rollout-screener
    parameters:
      scope: {labelSelector: "${scope}"}
      revisionGating: {mode: sum, revisionLabelKey: revision, roleLabelKey: role, requireRoles: {values: [decode]}}
`;
  writeFileSync(
    `${config}.new`,
    `plugins:
  - type: random-picker
${scope === undefined ? "" : screener}schedulingProfiles: [{name: default, plugins: [{pluginRef: random-picker}]}]
`,
  );
  renameSync(`${config}.new`, config);
}

let asked = 0;
const ask = () =>
  post(epp.proxy, "/v1/completions", { model: "Qwen/Qwen3-8B", prompt: `prompt ${asked++}`, max_tokens: 1 });
const watches = (scope: string) => epp.metric(`llm_d_epp_kubernetes_objects{resource="${scope}"}`);
const watch = "pods (disaggregatedset-rollout-screener)";

async function reloaded(times: number): Promise<void> {
  await until(
    "the configuration is reloaded",
    async () => (await epp.metric('llm_d_epp_config_reloads_total{result="success"}')) === times,
    30_000,
  ).catch((thrown: unknown) => {
    throw new Error(epp.running.lines.slice(-20).join("\n"), { cause: thrown });
  });
}

beforeAll(async () => {
  await cluster.start();
  const port = await freePort();
  for (const host of ["127.0.0.1", "127.0.0.2"]) {
    const sim = new Running(`sim ${host}`, parts.modelSim, ["--name", host, "--host", host, "--port", String(port)]);
    programs.push(sim);
    await sim.json((value) => value["event"] === "listening");
  }
  await cluster.installCrds();
  await putPool(cluster, "pool", { app: "vllm" }, [port]);
  const role = { app: "vllm", role: "decode" };
  await createPod(cluster, "old", { ip: "127.0.0.1", labels: { ...role, revision: "1" } });
  await createPod(cluster, "young", { ip: "127.0.0.2", labels: { ...role, revision: "2", canary: "yes" } });
  write();
  epp = new KubePicker(cluster, "epp", { flags: ["--config-file", config, "--allow-experimental-plugins"] });
  programs.push(epp);
  await epp.ready();
}, 240_000);
afterAll(async () => {
  await Promise.all(programs.map((program) => program.stop("SIGKILL")));
  await cluster.stop();
});

/** Asks for answers all the while; returns the statuses that are not 200. */
async function whileAsking(run: () => Promise<void>): Promise<readonly number[]> {
  const failed: number[] = [];
  let isDone = false;
  const asking = (async () => {
    while (!isDone) {
      const { status } = await ask();
      if (status !== 200) failed.push(status);
    }
  })();
  try {
    await run();
  } finally {
    isDone = true;
    await asking;
  }
  return failed;
}

test("a configuration brings a plugin that follows pods: it knows them before the first request asks it", async () => {
  expect(await watches(watch)).toBeUndefined();
  const failed = await whileAsking(async () => {
    write("app=vllm,canary=yes");
    await reloaded(1);
    for (let i = 0; i < 20; i++) expect((await ask()).server).toBe("127.0.0.2");
  });
  // Without knowledge of pods the screener refuses every endpoint.
  expect(failed).toEqual([]);
  expect(await watches(watch)).toBe(1);
});

test("it hears of what comes and goes", async () => {
  await cluster.must("PATCH", `${podsPath}/old`, { metadata: { labels: { canary: "yes" } } });
  await until("it knows two", async () => (await watches(watch)) === 2);
  const served = new Set<string | undefined>();
  await until("both serve", async () => served.add((await ask()).server).size === 2);
});

test("other parameters of it change what it follows in one step", async () => {
  const failed = await whileAsking(async () => {
    write("app=vllm,revision=1");
    await reloaded(2);
    for (let i = 0; i < 20; i++) expect((await ask()).server).toBe("127.0.0.1");
  });
  expect(failed).toEqual([]);
  expect(await watches(watch)).toBe(1);
});

test("a configuration without it ends its watch, and all pods serve", async () => {
  write();
  await reloaded(3);
  expect(await watches(watch)).toBeUndefined();
  const served = new Set<string | undefined>();
  await until("both serve", async () => served.add((await ask()).server).size === 2);
  await deletePod(cluster, "old");
  await epp.has(["young-rank-0"]);
});

test("with the API server away a configuration with it takes over after a while, and says so", async () => {
  await cluster.stopApi();
  write("app=vllm,canary=yes");
  await reloaded(4);
  expect(epp.said("are not known yet")).toHaveLength(1);
  expect((await ask()).status).toBe(503);
  await cluster.startApi();
  await until("it serves", async () => (await ask()).status === 200);
  expect(await epp.stop()).toBe(0);
}, 120_000);
