import { type EndpointMetadata, type EndpointSink, hostPort } from "@pointsman/core";
import { activePorts } from "./active-ports.ts";
import { ineligible } from "./eligible.ts";
import type { Pod } from "./pod.ts";

/** The endpoints of one pod: one for each target port that serves, none when the pod may get no requests. */
export function endpointsOf(pod: Pod, targetPorts: readonly number[]): readonly EndpointMetadata[] {
  const { address, nodeAddress, namespace, name, labels } = pod;
  if (ineligible(pod) !== undefined || address === undefined) return [];
  return activePorts(pod.activePorts, targetPorts).map((rankIndex) => {
    const port = targetPorts[rankIndex]!;
    return {
      id: `${namespace}/${name}-rank-${rankIndex}`,
      namespace,
      name,
      address,
      port,
      metricsHost: hostPort(address, port),
      ...(nodeAddress === undefined ? {} : { nodeAddress }),
      labels,
      rankIndex,
    };
  });
}

interface KnownPod {
  readonly pod: Pod;
  readonly ids: readonly string[];
}

/** Keeps the endpoints of a pool in step with its pods and target ports. */
export class PodEndpoints {
  readonly #sink: EndpointSink;
  readonly #pods = new Map<string, KnownPod>();
  #targetPorts: readonly number[] = [];

  constructor(sink: EndpointSink) {
    this.#sink = sink;
  }

  /** Pods known, whether or not they may get requests. */
  get pods(): number {
    return this.#pods.size;
  }

  /** A pod that appeared or changed; `key` is its `namespace/name`. */
  upsert(key: string, pod: Pod): void {
    const known = this.#pods.get(key);
    // Another pod of the same name: what plugins have learned of the former one does not hold for it.
    if (known !== undefined && known.pod.uid !== pod.uid) this.remove(key);
    this.#set(key, pod);
  }

  /** A pod that is gone or no longer selected. */
  remove(key: string): void {
    const known = this.#pods.get(key);
    if (known === undefined) return;
    this.#pods.delete(key);
    for (const id of known.ids) this.#sink.remove(id);
  }

  /** Removes the pods that `keep` does not have. */
  retain(keep: ReadonlySet<string>): void {
    for (const key of [...this.#pods.keys()]) if (!keep.has(key)) this.remove(key);
  }

  /** The pool's target ports, in order: the position of a port is the rank. */
  setTargetPorts(targetPorts: readonly number[]): void {
    if (targetPorts.join() === this.#targetPorts.join()) return;
    this.#targetPorts = targetPorts;
    for (const [key, { pod }] of [...this.#pods]) this.#set(key, pod);
  }

  clear(): void {
    for (const key of [...this.#pods.keys()]) this.remove(key);
  }

  /** Counts pods by what keeps them from requests; `eligible` for the others. */
  counts(): ReadonlyMap<string, number> {
    const counts = new Map<string, number>();
    for (const { pod } of this.#pods.values()) {
      const state = ineligible(pod) ?? "eligible";
      counts.set(state, (counts.get(state) ?? 0) + 1);
    }
    return counts;
  }

  #set(key: string, pod: Pod): void {
    const before = this.#pods.get(key)?.ids ?? [];
    const endpoints = endpointsOf(pod, this.#targetPorts);
    const ids = endpoints.map(({ id }) => id);
    this.#pods.set(key, { pod, ids });
    for (const id of before) if (!ids.includes(id)) this.#sink.remove(id);
    for (const endpoint of endpoints) this.#sink.upsert(endpoint);
  }
}
