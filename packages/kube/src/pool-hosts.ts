import { isIP } from "node:net";
import { asList, asRecord, asText, type JsonRecord } from "./json-value.ts";
import { type PodSink, PoolFollower, type PoolName } from "./pool-follower.ts";
import { type WatchEnvironment, WatchSet } from "./watch-set.ts";

export interface PoolHostsOptions extends WatchEnvironment, PoolName {
  readonly namespace: string;
}

/** Most addresses of one pod: one for each family of IP, with room. */
const maxAddresses = 8;

/**
 * Knows the hosts of an InferencePool: the addresses and names of the pods that it selects, ready or not. A pod that has
 * finished does not count, since its address may be another pod's. Nor does a name with a dot, or `localhost`: as a host
 * it means something that the pod has no say in.
 *
 * The hosts stay as they were last known while the API server is away, and are none once the pool is gone.
 */
export class PoolHosts {
  readonly #watches: WatchSet;
  readonly #follower: PoolFollower;
  readonly #pool: PoolName;
  readonly #hosts: HostSet = new HostSet();

  constructor(options: PoolHostsOptions) {
    const { namespace, name, group, logger } = options;
    this.#pool = { name, group };
    this.#watches = new WatchSet(options);
    this.#follower = new PoolFollower({
      watches: this.#watches,
      namespace,
      pods: this.#hosts,
      onPool: () => {},
      logger,
    });
  }

  /** Starts to follow. Never rejects: what cannot be had yet is tried on and on. */
  start(): void {
    this.#follower.follow(this.#pool);
  }

  stop(): void {
    this.#watches.stop();
  }

  /** Resolves once it is known whether there is a pool, and if so, which pods it has. Never rejects. */
  get listed(): Promise<void> {
    return this.#follower.listed;
  }

  /** Whether pool and pods have been known at some time. */
  wasKnown(): boolean {
    return this.#follower.wasKnown;
  }

  /** What is not known, `undefined` when pool and pods are. */
  missing(): string | undefined {
    return this.#follower.missing();
  }

  /** Whether a host is one of the pool's: a name, or an address in its shortest form. Letters in lower case. */
  has(host: string): boolean {
    return this.#hosts.has(host);
  }

  /** Brings the gauges up to date. */
  updateMetrics(): void {
    this.#watches.updateMetrics();
  }
}

/** Hosts by pod, and how many pods have each. */
class HostSet implements PodSink {
  readonly #ofPod = new Map<string, readonly string[]>();
  readonly #counts = new Map<string, number>();

  get pods(): number {
    return this.#ofPod.size;
  }

  has(host: string): boolean {
    return this.#counts.has(host);
  }

  upsert(key: string, object: JsonRecord): void {
    const hosts = hostsOf(object);
    for (const host of hosts) this.#counts.set(host, (this.#counts.get(host) ?? 0) + 1);
    this.remove(key);
    this.#ofPod.set(key, hosts);
  }

  remove(key: string): void {
    for (const host of this.#ofPod.get(key) ?? []) {
      const left = this.#counts.get(host)! - 1;
      if (left > 0) this.#counts.set(host, left);
      else this.#counts.delete(host);
    }
    this.#ofPod.delete(key);
  }

  retain(keep: ReadonlySet<string>): void {
    for (const key of [...this.#ofPod.keys()]) if (!keep.has(key)) this.remove(key);
  }

  clear(): void {
    this.retain(new Set());
  }
}

function hostsOf(object: JsonRecord): readonly string[] {
  const status = asRecord(object["status"]);
  const phase = asText(status["phase"]);
  if (phase === "Succeeded" || phase === "Failed") return [];
  const listed = asList(status["podIPs"]).slice(0, maxAddresses);
  const addresses = [status["podIP"], ...listed.map((each) => asRecord(each)["ip"])].flatMap(canonicalAddress);
  // Without an address nothing runs there that a name could lead to.
  if (addresses.length === 0) return [];
  const name = asText(asRecord(object["metadata"])["name"]);
  const named = name === undefined || name.includes(".") || name === "localhost" ? [] : [name];
  return [...new Set([...addresses, ...named])];
}

/** The form that equal addresses have in common; nothing for what is no address. */
function canonicalAddress(value: unknown): readonly string[] {
  const text = asText(value) ?? "";
  switch (isIP(text)) {
    case 4:
      return [text];
    case 6:
      return text.includes("%") ? [] : [new URL(`http://[${text}]/`).hostname.slice(1, -1)];
    default:
      return [];
  }
}
