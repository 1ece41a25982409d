import type {
  EndpointSink,
  InferenceModelRewrite,
  InferenceObjective,
  KubernetesListener,
  NamedPlugin,
} from "@pointsman/core";
import { type PoolSpec, readInferencePool } from "./inference-pool.ts";
import { followForPlugin } from "./plugin-watch.ts";
import { readPod } from "./pod.ts";
import { PodEndpoints } from "./pod-endpoints.ts";
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
const pools = "inferencepools";
const pods = "pods";
const objectives = "inferenceobjectives";
const rewrites = "inferencemodelrewrites";

/** Follows a pool in Kubernetes: its spec, its pods as endpoints, the objectives and rewrite rules that refer to it. */
export class KubernetesPool {
  readonly #options: KubernetesPoolOptions;
  readonly #watches: WatchSet;
  readonly #podEndpoints: PodEndpoints;
  #pool: PoolSpec | undefined;
  #podsKnown = false;
  #startedAtMs: number | undefined;

  constructor(options: KubernetesPoolOptions) {
    this.#options = options;
    this.#watches = new WatchSet(options);
    this.#podEndpoints = new PodEndpoints(options.endpoints);
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
    const { origin, listeners, namespace, clock } = this.#options;
    this.#startedAtMs = clock.now();
    if (origin.kind === "InferencePool") {
      this.#followPool(origin);
      this.#followRequestObjects(origin);
    } else {
      this.#setPool({ selector: origin.selector, targetPorts: origin.targetPorts, appProtocol: undefined });
    }
    for (const plugin of listeners) followForPlugin(plugin, namespace, this.#watches, this.#options.logger);
  }

  stop(): void {
    this.#watches.stop();
  }

  /** Why requests cannot be served yet, `undefined` when they can. Losing contact later on is no reason. */
  notSynced(): string | undefined {
    if (this.#startedAtMs === undefined) return "Kubernetes is not followed yet";
    if (this.#pool === undefined) return this.#poolMissing();
    if (!this.#podsKnown) return `the pods are not known yet${this.#why(pods)}`;
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

  #poolMissing(): string {
    const { origin, namespace } = this.#options;
    const status = this.#watches.get(pools)?.status();
    if (origin.kind !== "InferencePool" || status === undefined) return "the pool is not known yet";
    if (status.absent) return `the API server does not know InferencePools of ${origin.group}/v1; install the CRD`;
    return status.synced
      ? `there is no InferencePool ${namespace}/${origin.name} that can be used`
      : `the InferencePool ${namespace}/${origin.name} is not known yet${this.#why(pools)}`;
  }

  #why(resource: string): string {
    const problem = this.#watches.get(resource)?.status().problem;
    return problem === undefined ? "" : `: ${problem}`;
  }

  #followPool({ name, group }: PoolReference): void {
    const { namespace, logger } = this.#options;
    this.#watches.follow({
      resource: pools,
      paths: [resourcePath({ group, version: "v1", plural: pools, namespace })],
      fieldSelector: `metadata.name=${name}`,
      sink: {
        upsert: (object, identity) => {
          if (identity.name !== name) return;
          const pool = readInferencePool(object);
          if (pool === "deleted") this.#dropPool("the pool is being deleted");
          else if ("problem" in pool) {
            logger.error(
              { pool: identity.key, problem: pool.problem },
              "the pool cannot be used; what was known of it stays",
            );
          } else this.#setPool(pool);
        },
        remove: (identity) => {
          if (identity.name === name) this.#dropPool("the pool is gone");
        },
      },
    });
  }

  #setPool(pool: PoolSpec): void {
    const before = this.#pool;
    this.#pool = pool;
    const { selector, targetPorts, appProtocol } = pool;
    this.#podEndpoints.setTargetPorts(targetPorts);
    if (before?.selector !== selector) this.#followPods(selector);
    const changed = before === undefined || JSON.stringify(before) !== JSON.stringify(pool);
    if (!changed) return;
    this.#options.logger.info(
      { selector, targetPorts, appProtocol },
      before === undefined ? "pool known" : "pool changed",
    );
    this.#options.onPool(pool);
  }

  #dropPool(why: string): void {
    if (this.#pool === undefined) return;
    this.#pool = undefined;
    this.#podsKnown = false;
    this.#watches.forget(pods);
    const lost = this.#podEndpoints.pods;
    this.#podEndpoints.clear();
    this.#options.logger.warn({ pods: lost }, `${why}: no endpoints`);
    this.#options.onPool(undefined);
  }

  #followPods(selector: string): void {
    const { namespace } = this.#options;
    // Endpoints of the former selector serve on until it is known who belongs to the new one.
    let listed: Set<string> | undefined = new Set<string>();
    const watch = this.#watches.follow({
      resource: pods,
      paths: [resourcePath({ group: "", version: "v1", plural: pods, namespace })],
      labelSelector: selector,
      skip: ["spec"],
      sink: {
        upsert: (object, { key }) => {
          listed?.add(key);
          this.#podEndpoints.upsert(key, readPod(object));
        },
        remove: ({ key }) => {
          listed?.delete(key);
          this.#podEndpoints.remove(key);
        },
      },
    });
    watch.onceSynced(() => {
      this.#podEndpoints.retain(listed ?? new Set());
      listed = undefined;
      this.#podsKnown = true;
    });
  }

  #followRequestObjects(pool: PoolReference): void {
    const { namespace } = this.#options;
    const follow = (resource: string, sink: ResourceSink): void => {
      const paths = requestGroups.map(([group, version]) =>
        resourcePath({ group, version, plural: resource, namespace }),
      );
      this.#watches.follow({ resource, paths, sink });
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
