import { type EffectiveConfig, loadConfig, type PluginGraph } from "@pointsman/config";
import {
  createTimers,
  DecisionLog,
  type NamedPlugin,
  noMetrics,
  SchedulerAttempts,
  silentLogger,
  systemClock,
} from "@pointsman/core";
import { Datastore } from "@pointsman/datastore";
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
  await vi.waitFor(() => expect(kubernetes.calls).toEqual(["add topology"]));
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
  await vi.waitFor(() => expect(kubernetes.calls).toHaveLength(1));
  await graphs.stop();
  known();
  expect(await replaced).toBe("the process is not running");
  expect(graphs.current).toBe(before);
  expect(disposed).toHaveBeenCalledOnce();
});
