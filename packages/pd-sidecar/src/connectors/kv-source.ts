import { randomUUID } from "node:crypto";
import type { PlainJson } from "../body/json-text.ts";
import type { Target } from "../upstream/target.ts";

/** How the cache of other servers is reached. */
export interface P2pPorts {
  /** Port of the cache of rank 0. */
  readonly basePort: number;
  /** Listen port of the sidecar's rank 0, which all pods have in common. */
  readonly listenPort: number;
  readonly ranks: number;
}

/** Port of the cache behind a target: that of the target's rank, where its port tells the rank. */
export function p2pPortOf(target: Target, { basePort, listenPort, ranks }: P2pPorts): number {
  const rank = target.port - listenPort;
  return ranks > 1 && rank >= 0 && rank < ranks ? basePort + rank : basePort;
}

/** Tells a server where else the prompt's cache is. */
export function remoteKvSource(source: Target, ports: P2pPorts): PlainJson {
  return { kv_request_id: randomUUID(), remote_host: source.host, remote_port: p2pPortOf(source, ports) };
}

/** The source for a prefill server; undefined when it is that server itself. */
export function sourceFor(source: Target | undefined, prefill: Target): Target | undefined {
  return source === undefined || source.hostPort === prefill.hostPort ? undefined : source;
}
