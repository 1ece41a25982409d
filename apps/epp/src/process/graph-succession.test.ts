import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type EffectiveConfig, loadConfig, type PluginGraph } from "@pointsman/config";
import {
  createTimers,
  DecisionLog,
  type NamedPlugin,
  noMetrics,
  type RequestPolicySink,
  SchedulerAttempts,
  silentLogger,
  systemClock,
} from "@pointsman/core";
import { Datastore, ObjectiveStore } from "@pointsman/datastore";
import { afterEach, expect, test, vi } from "vitest";
import { PluginRegistry } from "../registry/plugin-registry.ts";
import { GraphRuntime, type RuntimeEnvironment } from "./graph-runtime.ts";
import { GraphSuccession, type KubernetesListeners } from "./graph-succession.ts";

const plain = `plugins: [{type: queue-scorer}]
schedulingProfiles: [{name: default, plugins: [{pluginRef: queue-scorer}]}]
`;
const withTopology = plain.replace("[{", "[{type: topology-extractor}, {");

const datastore = new Datastore({
  pool: { name: "p", namespace: "ns", appProtocol: undefined },
  logger: silentLogger,
});
const timers = createTimers("test", silentLogger);
const environment: RuntimeEnvironment = {
  ...{ datastore, timers, refreshMetricsIntervalMs: 60_000, endpoints: () => datastore.snapshot() },
  ...{ decisions: new DecisionLog(1, systemClock, false), attempts: new SchedulerAttempts(noMetrics) },
  ...{ clock: systemClock, logger: silentLogger, metrics: noMetrics, random: Math.random },
  ...{ maxRequestBodyBytes: 1024, emitScores: false, ignoreSubsetHint: false },
};
const stops: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop();
});

async function load(text: string, replaces?: PluginGraph): Promise<{ graph: PluginGraph; effective: EffectiveConfig }> {
  const { graph, effective, problems } = await loadConfig(
    { text, file: "test", baseDirectory: process.cwd() },
    {
      resolver: new PluginRegistry(process.cwd()),
      allowExperimental: true,
      ...(replaces === undefined ? {} : { replaces }),
      environment: {
        ...{ logger: silentLogger, metrics: noMetrics, clock: systemClock, stalenessMs: 2000, random: Math.random },
        endpoints: () => datastore.snapshot(),
        timersFor: (name) => createTimers(name, silentLogger),
      },
    },
  );
  if (graph === undefined || effective === undefined) throw new Error(JSON.stringify(problems));
  return { graph, effective };
}

/** Notes what it is asked, and lets a test decide when plugins know what exists. */
class FakeKubernetes implements KubernetesListeners {
  readonly calls: string[] = [];
  add: () => Promise<void> = async () => {};

  async addListeners(plugins: readonly NamedPlugin[]): Promise<void> {
    this.calls.push(`add ${namesOf(plugins)}`);
    await this.add();
  }

  keepListeners(plugins: readonly NamedPlugin[]): void {
    this.calls.push(`keep ${namesOf(plugins)}`);
  }
}

/** Which of the two configurations plugins are of. */
function namesOf(plugins: readonly NamedPlugin[]): string {
  return plugins.some(({ type }) => type === "topology-extractor") ? "topology" : "plain";
}

async function succession(kubernetes: KubernetesListeners): Promise<GraphSuccession> {
  const { graph, effective } = await load(plain);
  const graphs = new GraphSuccession(
    new GraphRuntime(graph, effective, environment),
    environment,
    undefined,
    kubernetes,
  );
  graphs.current.start();
  stops.push(() => graphs.stop());
  return graphs;
}

test("plugins that follow Kubernetes are told before the step, and those that are gone no more after it", async () => {
  const kubernetes = new FakeKubernetes();
  const graphs = await succession(kubernetes);
  const before = graphs.current;
  let known!: () => void;
  kubernetes.add = () =>
    new Promise((resolve) => {
      known = resolve;
    });
  const next = await load(withTopology, before.graph);
  const replaced = graphs.replace(next.graph, next.effective);
  await expect.poll(() => kubernetes.calls).toEqual(["add topology"]);
  expect(graphs.current).toBe(before);
  known();
  expect(await replaced).toBeUndefined();
  expect(graphs.current.graph).toBe(next.graph);
  expect(kubernetes.calls).toEqual(["add topology", "keep topology"]);

  kubernetes.add = async () => {};
  const last = await load(plain, graphs.current.graph);
  expect(await graphs.replace(last.graph, last.effective)).toBeUndefined();
  expect(kubernetes.calls.slice(2)).toEqual(["add plain", "keep plain"]);
});

test("a plugin that cannot be told keeps the configuration at work, and the new one ends", async () => {
  const kubernetes = new FakeKubernetes();
  const graphs = await succession(kubernetes);
  const before = graphs.current;
  kubernetes.add = () => Promise.reject(new Error("no idea"));
  const next = await load(withTopology, before.graph);
  const disposed = vi.spyOn(next.graph, "dispose");
  await expect(graphs.replace(next.graph, next.effective)).rejects.toThrow("no idea");
  expect(graphs.current).toBe(before);
  expect(disposed).toHaveBeenCalledOnce();
  expect(kubernetes.calls).toEqual(["add topology", "keep plain"]);
});

test("a feature gate that is read at the start only refuses the configuration instead of having no effect", async () => {
  const graphs = await succession(new FakeKubernetes());
  const before = graphs.current;
  const next = await load(`featureGates: [haPopulateNonLeaderDatastore=false]\n${plain}`, before.graph);
  expect(await graphs.replace(next.graph, next.effective)).toBe(
    "the feature gate haPopulateNonLeaderDatastore is read at the start only; another value needs a restart",
  );
  expect(graphs.current).toBe(before);
  const same = await load(`featureGates: [haPopulateNonLeaderDatastore=true]\n${plain}`, before.graph);
  expect(await graphs.replace(same.graph, same.effective)).toBeUndefined();
});

test("a process that ends during the wait starts nothing more", async () => {
  const kubernetes = new FakeKubernetes();
  const graphs = await succession(kubernetes);
  const before = graphs.current;
  let known!: () => void;
  kubernetes.add = () =>
    new Promise((resolve) => {
      known = resolve;
    });
  const next = await load(withTopology, before.graph);
  const disposed = vi.spyOn(next.graph, "dispose");
  const replaced = graphs.replace(next.graph, next.effective);
  await expect.poll(() => kubernetes.calls).toHaveLength(1);
  await graphs.stop();
  known();
  expect(await replaced).toBe("the process is not running");
  expect(graphs.current).toBe(before);
  expect(disposed).toHaveBeenCalledOnce();
});

/** A folder with two files of endpoints, and configurations that name them. */
function filesOfEndpoints() {
  const folder = mkdtempSync(join(tmpdir(), "pointsman-succession-"));
  stops.push(async () => rmSync(folder, { recursive: true, force: true }));
  const fileOf = (name: string): string => join(folder, `${name}.yaml`);
  const write = (name: string, priority: number, ...endpoints: readonly string[]): void => {
    const items = endpoints.map((endpoint) => `- {name: ${endpoint}, address: 127.0.0.1, port: 1}\n`).join("");
    const objectives = `objectives: [{metadata: {name: gold}, spec: {priority: ${priority}, poolRef: {name: p}}}]\n`;
    writeFileSync(fileOf(name), `endpoints:\n${items}${objectives}`);
  };
  const config = (name: string): string =>
    plain.replace("[{", `[{type: file-discovery, parameters: {path: ${fileOf(name)}, watchFile: true}}, {`) +
    "dataLayer: {discovery: {pluginRef: file-discovery}}\n";
  return { write, config };
}

test("a discovery plugin whose configuration is replaced changes neither endpoints nor objectives any more", async () => {
  const { write, config } = filesOfEndpoints();
  write("old", 1, "a");
  write("new", 2, "b");
  const objectives = new ObjectiveStore({ logger: silentLogger });
  const policies: RequestPolicySink = {
    setObjectives: (list) => objectives.replaceAll(list),
    setModelRewrites: () => {},
  };
  const first = await load(config("old"));
  const graphs = new GraphSuccession(
    new GraphRuntime(first.graph, first.effective, environment),
    environment,
    policies,
    undefined,
  );
  stops.push(() => graphs.stop());
  graphs.current.start();
  await graphs.startDiscovery();
  const ids = (): readonly string[] => datastore.snapshot().map(({ id }) => id);
  expect([ids(), objectives.priorityOf("gold")]).toEqual([["default/a"], 1]);

  // A request in flight keeps the plugins of the first configuration alive.
  const { open } = graphs.current.router;
  open?.opened();
  const next = await load(config("new"), graphs.current.graph);
  expect(await graphs.replace(next.graph, next.effective)).toBeUndefined();
  expect([ids(), objectives.priorityOf("gold")]).toEqual([["default/b"], 2]);
  write("old", 3, "a", "c");
  const former = first.graph.plugins.find(({ type }) => type === "file-discovery");
  await expect.poll(() => former?.instance.dumpState?.()).toMatchObject({ totalEndpoints: 2 });
  expect([ids(), objectives.priorityOf("gold")]).toEqual([["default/b"], 2]);
  write("new", 4, "b");
  await expect.poll(() => objectives.priorityOf("gold")).toBe(4);
  open?.closed();
});
