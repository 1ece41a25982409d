import type { Logger } from "@pointsman/core";
import { type PoolSpec, poolVersion, readInferencePool } from "./inference-pool.ts";
import type { JsonRecord } from "./json-value.ts";
import { resourcePath } from "./resource-path.ts";
import type { WatchSet } from "./watch-set.ts";

/** An InferencePool by name. */
export interface PoolName {
  readonly name: string;
  readonly group: string;
}

/** Takes the pods of a pool as they come and go; `key` is `namespace/name`. */
export interface PodSink {
  /** Pods known. */
  readonly pods: number;
  /** A pod that appeared or changed. */
  upsert(key: string, object: JsonRecord): void;
  /** A pod that is gone or no longer selected. */
  remove(key: string): void;
  /** Removes the pods that `keep` does not have. */
  retain(keep: ReadonlySet<string>): void;
  clear(): void;
}

export interface PoolFollowerOptions {
  readonly watches: WatchSet;
  readonly namespace: string;
  /** Where the pods go, without the parts that nobody reads. */
  readonly pods: PodSink;
  /** The pool became known or changed; `undefined`: it is gone, and its pods with it. Told before pods of the pool are. */
  onPool(pool: PoolSpec | undefined): void;
  readonly logger: Logger;
}

const pools = "inferencepools";
const pods = "pods";
/** Of pods. */
const unreadParts = ["spec", "ownerReferences", "initContainerStatuses", "containerStatuses"];

/** Follows a pool and the pods that it selects. */
export class PoolFollower {
  readonly #options: PoolFollowerOptions;
  /** Resolves once it is known whether there is a pool, and if so, which pods it has. Never rejects. */
  readonly listed: Promise<void>;
  #markListed: () => void = () => {};
  #name: PoolName | undefined;
  #pool: PoolSpec | undefined;
  #podsKnown = false;
  #wasKnown = false;

  constructor(options: PoolFollowerOptions) {
    this.#options = options;
    this.listed = new Promise((resolve) => {
      this.#markListed = resolve;
    });
  }

  /** Follows an InferencePool. */
  follow(pool: PoolName): void {
    this.#name = pool;
    const { namespace, logger, watches } = this.#options;
    const { name, group } = pool;
    const watch = watches.follow({
      resource: pools,
      paths: [resourcePath({ group, version: poolVersion(group), plural: pools, namespace })],
      fieldSelector: `metadata.name=${name}`,
      sink: {
        upsert: (object, identity) => {
          if (identity.name !== name) return;
          const read = readInferencePool(object, group);
          if (read === "deleted") this.#drop("the pool is being deleted");
          else if ("problem" in read) {
            logger.error(
              { pool: identity.key, problem: read.problem },
              "the pool cannot be used; what was known of it stays",
            );
          } else this.set(read);
        },
        remove: (identity) => {
          if (identity.name === name) this.#drop("the pool is gone");
        },
      },
    });
    watch.onceSynced(() => {
      if (this.#pool === undefined) this.#markListed();
    });
  }

  /** Puts a pool in place of the one known, and follows its pods. */
  set(pool: PoolSpec): void {
    const before = this.#pool;
    this.#pool = pool;
    if (before === undefined || JSON.stringify(before) !== JSON.stringify(pool)) {
      const { selector, targetPorts, appProtocol } = pool;
      this.#options.logger.info(
        { selector, targetPorts, appProtocol },
        before === undefined ? "pool known" : "pool changed",
      );
      this.#options.onPool(pool);
    }
    if (before?.selector !== pool.selector) this.#followPods(pool.selector);
  }

  /** Whether pool and pods have been known at some time. */
  get wasKnown(): boolean {
    return this.#wasKnown;
  }

  /** What is not known, `undefined` when pool and pods are. */
  missing(): string | undefined {
    if (this.#pool !== undefined) {
      return this.#podsKnown ? undefined : `the pods are not known yet${this.#why(pods)}`;
    }
    const status = this.#options.watches.get(pools)?.status();
    if (this.#name === undefined || status === undefined) return "the pool is not known yet";
    const { group, name } = this.#name;
    const { namespace } = this.#options;
    if (status.absent) {
      return `the API server does not know InferencePools of ${group}/${poolVersion(group)}; install the CRD`;
    }
    return status.synced
      ? `there is no InferencePool ${namespace}/${name} that can be used`
      : `the InferencePool ${namespace}/${name} is not known yet${this.#why(pools)}`;
  }

  #why(resource: string): string {
    const problem = this.#options.watches.get(resource)?.status().problem;
    return problem === undefined ? "" : `: ${problem}`;
  }

  #drop(why: string): void {
    if (this.#pool === undefined) return;
    const { watches, logger, onPool, pods: sink } = this.#options;
    this.#pool = undefined;
    this.#podsKnown = false;
    watches.forget(pods);
    const lost = sink.pods;
    sink.clear();
    logger.warn({ pods: lost }, `${why}: no pods`);
    onPool(undefined);
    this.#markListed();
  }

  #followPods(selector: string): void {
    const { namespace, watches, pods: sink } = this.#options;
    // Pods of the former selector stay until it is known who belongs to the new one.
    let listed: Set<string> | undefined = new Set<string>();
    const watch = watches.follow({
      resource: pods,
      paths: [resourcePath({ group: "", version: "v1", plural: pods, namespace })],
      labelSelector: selector,
      skip: unreadParts,
      sink: {
        upsert: (object, { key }) => {
          listed?.add(key);
          sink.upsert(key, object);
        },
        remove: ({ key }) => {
          listed?.delete(key);
          sink.remove(key);
        },
      },
    });
    watch.onceSynced(() => {
      sink.retain(listed ?? new Set());
      listed = undefined;
      this.#podsKnown = true;
      this.#wasKnown = true;
      this.#markListed();
    });
  }
}
