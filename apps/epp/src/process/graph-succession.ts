import type { EffectiveConfig, PluginGraph } from "@pointsman/config";
import type { Gauge, RequestPolicySink } from "@pointsman/core";
import { DiscoverySink } from "./discovery-sink.ts";
import { GraphRuntime, type RuntimeEnvironment } from "./graph-runtime.ts";
import type { Kubernetes } from "./kubernetes.ts";

/** Who tells plugins of Kubernetes objects. */
export type KubernetesListeners = Pick<Kubernetes, "addListeners" | "keepListeners">;

/** The plugin graph at work, and how another one follows it. */
export class GraphSuccession {
  readonly #environment: RuntimeEnvironment;
  readonly #kubernetes: KubernetesListeners | undefined;
  readonly #discovered: DiscoverySink;
  /** Graphs that requests in flight still use. */
  readonly #retiring: Map<GraphRuntime, Promise<void>> = new Map();
  readonly #info: (hash: string) => Gauge;
  #current: GraphRuntime;
  #stopped = false;

  constructor(
    first: GraphRuntime,
    environment: RuntimeEnvironment,
    policies: RequestPolicySink | undefined,
    kubernetes: KubernetesListeners | undefined,
  ) {
    this.#current = first;
    this.#kubernetes = kubernetes;
    this.#environment = environment;
    this.#discovered = new DiscoverySink(environment.datastore, policies);
    const info = environment.metrics.gauge({
      name: "llm_d_epp_config_info",
      help: "1 for the configuration at work, by the hash of what it means.",
      labelNames: ["hash"],
    });
    this.#info = (hash) => info.labels(hash);
    this.#info(first.configHash).set(1);
  }

  get current(): GraphRuntime {
    return this.#current;
  }

  /** Starts the discovery plugin of the first graph. Rejects when it fails. */
  async startDiscovery(): Promise<void> {
    await this.#discover(this.#current.graph);
  }

  /**
   * Puts a graph to work. Returns why it cannot, and disposes it, when what it needs can only be had at a start or its
   * discovery fails.
   */
  async replace(graph: PluginGraph, effective: EffectiveConfig): Promise<string | undefined> {
    const before = this.#current;
    const refusal = needsRestart(before.graph, graph, this.#kubernetes !== undefined);
    if (refusal !== undefined) {
      await graph.dispose();
      return refusal;
    }
    const next = new GraphRuntime(graph, effective, this.#environment);
    try {
      // They know what exists before the first request asks them.
      await this.#kubernetes?.addListeners(graph.plugins);
      if (graph.discovery !== undefined && graph.discovery.instance !== before.graph.discovery?.instance) {
        await this.#discover(graph);
      }
    } catch (thrown: unknown) {
      this.#kubernetes?.keepListeners(before.graph.plugins);
      await graph.dispose();
      throw thrown;
    }
    if (this.#stopped) {
      await graph.dispose();
      return "the process is not running";
    }
    next.start(before);
    this.#current = next;
    this.#kubernetes?.keepListeners(graph.plugins);
    this.#info(before.configHash).set(0);
    this.#info(next.configHash).set(1);
    const retired = before.retire().finally(() => this.#retiring.delete(before));
    this.#retiring.set(before, retired);
    return undefined;
  }

  /** Stops the graph at work and those that requests still use. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all([this.#current, ...this.#retiring.keys()].map((runtime) => runtime.stop()));
  }

  async #discover({ discovery }: PluginGraph): Promise<void> {
    if (discovery === undefined) return;
    const sink = this.#discovered.incoming();
    await discovery.instance.startDiscovery(sink, sink.policies);
    sink.activate();
  }
}

/** What two graphs differ in that is connected at the start only. */
function needsRestart(before: PluginGraph, next: PluginGraph, inKubernetes: boolean): string | undefined {
  if ((before.discovery === undefined) !== (next.discovery === undefined)) {
    return "endpoints from Kubernetes instead of a discovery plugin, or the other way round, need a restart";
  }
  const gate = "haPopulateNonLeaderDatastore";
  if (inKubernetes && before.featureGates.get(gate) !== next.featureGates.get(gate)) {
    return `the feature gate ${gate} is read at the start only; another value needs a restart`;
  }
  return undefined;
}
