import type {
  EndpointSink,
  InferenceModelRewrite,
  InferenceObjective,
  KubernetesListener,
  NamedPlugin,
} from "@pointsman/core";
import type { PoolSpec } from "./inference-pool.ts";
import { asList, asRecord } from "./json-value.ts";
import { PluginWatches } from "./plugin-watch.ts";
import { readPod } from "./pod.ts";
import { PodEndpoints } from "./pod-endpoints.ts";
import { PoolFollower } from "./pool-follower.ts";
import { belongsTo, type PoolReference } from "./pool-reference.ts";
import { readObjective } from "./read-objective.ts";
import { readRewrite } from "./read-rewrite.ts";
import { resourcePath } from "./resource-path.ts";
import type { ResourceSink } from "./resource-watch.ts";
import { type WatchEnvironment, WatchSet } from "./watch-set.ts";

/** Where the pool's selector and ports come from. */
export type PoolOrigin =
  | {
      /** An InferencePool. */
      readonly kind: "InferencePool";
      readonly name: string;
      readonly group: string;
    }
  | {
      /** Given at start; known from the start, and without objectives and rewrite rules. */
      readonly kind: "selector";
      readonly selector: string;
      readonly targetPorts: readonly number[];
    };

/** Keeps objects of one kind by name. */
export interface NamedStore<T> {
  set(object: T): void;
  delete(name: string): void;
}

export interface KubernetesPoolOptions extends WatchEnvironment {
  readonly namespace: string;
  readonly origin: PoolOrigin;
  /** Where the endpoints go. */
  readonly endpoints: EndpointSink;
  /** The pool became known or changed; `undefined`: it is gone, and its endpoints with it. */
  readonly onPool: (pool: PoolSpec | undefined) => void;
  readonly objectives: NamedStore<InferenceObjective>;
  readonly rewrites: NamedStore<InferenceModelRewrite>;
  /** Plugins that follow Kubernetes objects. */
  readonly listeners: readonly NamedPlugin<KubernetesListener>[];
}

/** API groups of objectives and rewrite rules, the current one first. */
const requestGroups = [
  ["llm-d.ai", "v1alpha2"],
  ["inference.networking.x-k8s.io", "v1alpha2"],
] as const;
/** Longest time that the first lists of objectives and rules are waited for: without them requests have priority 0. */
const requestObjectsWaitMs = 10_000;
const objectives = "inferenceobjectives";
const rewrites = "inferencemodelrewrites";

/** Follows a pool in Kubernetes: its spec, its pods as endpoints, the objectives and rewrite rules that refer to it. */
export class KubernetesPool {
  readonly #options: KubernetesPoolOptions;
  readonly #watches: WatchSet;
  readonly #podEndpoints: PodEndpoints;
  readonly #follower: PoolFollower;
  readonly #plugins: PluginWatches;
  #listeners: readonly NamedPlugin<KubernetesListener>[];
  #startedAtMs: number | undefined;

  constructor(options: KubernetesPoolOptions) {
    this.#options = options;
    this.#listeners = options.listeners;
    this.#watches = new WatchSet(options);
    this.#plugins = new PluginWatches(this.#watches, options.namespace, options.logger);
    const endpoints = new PodEndpoints(options.endpoints);
    this.#podEndpoints = endpoints;
    this.#follower = new PoolFollower({
      watches: this.#watches,
      namespace: options.namespace,
      pods: {
        get pods() {
          return endpoints.pods;
        },
        upsert: (key, object) => endpoints.upsert(key, readPod(object)),
        remove: (key) => endpoints.remove(key),
        retain: (keep) => endpoints.retain(keep),
        clear: () => endpoints.clear(),
      },
      onPool: (pool) => {
        if (pool !== undefined) endpoints.setTargetPorts(pool.targetPorts);
        options.onPool(pool);
      },
      logger: options.logger,
    });
    const states = options.metrics.gauge({
      name: "llm_d_epp_kubernetes_pods",
      help: "Selected pods by what keeps them from requests; eligible: nothing does.",
      labelNames: ["state"],
    });
    this.#updatePodStates = () => {
      const counts = this.#podEndpoints.counts();
      for (const state of podStates) states.labels(state).set(counts.get(state) ?? 0);
    };
  }

  readonly #updatePodStates: () => void;

  /** Starts to follow everything. Never rejects: what cannot be had yet is tried on and on. */
  start(): void {
    if (this.#startedAtMs !== undefined) return;
    const { origin, clock } = this.#options;
    this.#startedAtMs = clock.now();
    if (origin.kind === "InferencePool") {
      this.#follower.follow(origin);
      this.#followRequestObjects(origin);
    } else {
      this.#follower.set({ selector: origin.selector, targetPorts: origin.targetPorts, appProtocol: undefined });
    }
    for (const plugin of this.#listeners) void this.#plugins.follow(plugin);
  }

  /**
   * Tells more plugins of the objects they ask for; those that are told already are left alone. Resolves once the new ones
   * have been told of everything that exists; at once before the start. Rejects, and tells none of them, when one cannot
   * say what it asks for.
   */
  async addListeners(plugins: readonly NamedPlugin<KubernetesListener>[]): Promise<void> {
    const known = new Set(this.#listeners.map(({ instance }) => instance));
    const added = plugins.filter(({ instance }) => !known.has(instance));
    if (this.#startedAtMs === undefined) {
      this.#listeners = [...this.#listeners, ...added];
      return;
    }
    const synced: Promise<void>[] = [];
    try {
      for (const plugin of added) synced.push(this.#plugins.follow(plugin));
    } catch (thrown: unknown) {
      for (const { instance } of added) this.#plugins.forget(instance);
      throw thrown;
    }
    this.#listeners = [...this.#listeners, ...added];
    await Promise.all(synced);
  }

  /** Tells only these plugins on. */
  keepListeners(plugins: readonly NamedPlugin<KubernetesListener>[]): void {
    const kept = new Set(plugins.map(({ instance }) => instance));
    for (const { instance } of this.#listeners) if (!kept.has(instance)) this.#plugins.forget(instance);
    this.#listeners = this.#listeners.filter(({ instance }) => kept.has(instance));
  }

  stop(): void {
    this.#watches.stop();
  }

  /** Why requests cannot be served yet, `undefined` when they can. Losing contact later on is no reason. */
  notSynced(): string | undefined {
    if (this.#startedAtMs === undefined) return "Kubernetes is not followed yet";
    const missing = this.#follower.missing();
    if (missing !== undefined) return missing;
    if (this.#options.clock.now() - this.#startedAtMs > requestObjectsWaitMs) return undefined;
    for (const resource of [objectives, rewrites]) {
      const status = this.#watches.get(resource)?.status();
      if (status?.synced === false) return `the ${resource} are not known yet${this.#why(resource)}`;
    }
    return undefined;
  }

  /** Brings the gauges up to date. */
  updateMetrics(): void {
    this.#watches.updateMetrics();
    this.#updatePodStates();
  }

  /** Warns of objects in former groups: whoever installs the current one may not know that they do not count any more. */
  async #tellOfFormer(resource: string, paths: readonly string[]): Promise<void> {
    const { client, logger } = this.#options;
    for (const path of paths) {
      const list = await client.send({ method: "GET", path: `${path}?limit=1` }).catch(() => undefined);
      if (asList(asRecord(list)["items"]).length === 0) continue;
      logger.warn({ resource, path }, "objects of a former API group have no effect: the current one is installed");
    }
  }

  #why(resource: string): string {
    const problem = this.#watches.get(resource)?.status().problem;
    return problem === undefined ? "" : `: ${problem}`;
  }

  #followRequestObjects(pool: PoolReference): void {
    const { namespace } = this.#options;
    const follow = (resource: string, sink: ResourceSink): void => {
      const paths = requestGroups.map(([group, version]) =>
        resourcePath({ group, version, plural: resource, namespace }),
      );
      const onPath = (path: string): void => {
        if (path !== paths[0])
          this.#options.logger.info({ resource, path }, "objects of the former API group are used");
        else void this.#tellOfFormer(resource, paths.slice(1));
      };
      this.#watches.follow({ resource, paths, sink, onPath });
    };
    const { objectives: priorities, rewrites: rules } = this.#options;
    follow(objectives, {
      upsert: (object, { name }) => {
        if (belongsTo(object, pool)) priorities.set(readObjective(name, object));
        else priorities.delete(name);
      },
      remove: ({ name }) => priorities.delete(name),
    });
    follow(rewrites, {
      upsert: (object, { name }) => {
        if (belongsTo(object, pool)) rules.set(readRewrite(name, object));
        else rules.delete(name);
      },
      remove: ({ name }) => rules.delete(name),
    });
  }
}

const podStates = ["eligible", "not ready", "no address", "terminating", "finished"];
