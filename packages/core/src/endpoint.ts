import type { AttributeKey } from "./attributes/attribute-key.ts";

/** Who an endpoint is and where it listens. Replaced as a whole when discovery reports a change. */
export interface EndpointMetadata {
  /** Unique identity, `namespace/name`. Under Kubernetes the name is `<pod>-rank-<i>`. */
  readonly id: string;
  readonly namespace: string;
  /** Pod name or entry name; several ranks of one pod share it. */
  readonly name: string;
  /** IP address or host name, without brackets. */
  readonly address: string;
  readonly port: number;
  /** `host:port` of the metrics page, IPv6 in brackets. */
  readonly metricsHost: string;
  /** Address of the node, where discovery knows it. */
  readonly nodeAddress?: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Index of the port among the pool's target ports; 0 outside Kubernetes. */
  readonly rankIndex: number;
}

/** The endpoint's own name, that of its id: several ranks of one pod have one each. */
export function ownName({ id, namespace }: EndpointMetadata): string {
  const prefix = `${namespace}/`;
  return id.startsWith(prefix) ? id.slice(prefix.length) : id;
}

/**
 * Whether the endpoint answers at all, as the data layer sees it: `down` after several attempts in a row found nobody
 * listening, `unknown` before the first attempt and where nothing is scraped.
 */
export type Reachability = "unknown" | "up" | "down";

/**
 * One model server (one data-parallel rank) that may be picked.
 *
 * The object lives as long as the endpoint is known; its parts are replaced, never mutated. `slot` is a small integer,
 * unique among the endpoints of one snapshot, so that per-request tables can be typed arrays indexed by it. A slot is
 * used again after its endpoint is gone: state that outlives a request is keyed by `id`, or dropped on removal.
 */
export class Endpoint {
  readonly slot: number;
  readonly id: string;
  metadata: EndpointMetadata;
  /** `host:port` with IPv6 in brackets: what the proxy is told. Follows `metadata`. */
  hostPort: string;
  reachability: Reachability;
  /** Attribute values by `AttributeKey.index`; read and written through the readers and writers a plugin host gives. */
  readonly values: unknown[];
  /** Monotonic time of the last write, milliseconds, by `AttributeKey.index`. */
  readonly writtenAtMs: number[];

  constructor(slot: number, metadata: EndpointMetadata) {
    this.slot = slot;
    this.id = metadata.id;
    this.metadata = metadata;
    this.hostPort = hostPort(metadata.address, metadata.port);
    this.reachability = "unknown";
    this.values = [];
    this.writtenAtMs = [];
  }

  /** Replaces the metadata; values stay. */
  update(metadata: EndpointMetadata): void {
    this.metadata = metadata;
    this.hostPort = hostPort(metadata.address, metadata.port);
  }
}

/** Writes an attribute of an endpoint; `undefined` makes it unknown. */
export function writeAttribute<T>(endpoint: Endpoint, key: AttributeKey<T>, value: T | undefined, nowMs: number): void {
  const { values, writtenAtMs } = endpoint;
  // Filled in order, so that both arrays stay packed.
  while (values.length <= key.index) {
    values.push(undefined);
    writtenAtMs.push(Number.NEGATIVE_INFINITY);
  }
  values[key.index] = value;
  writtenAtMs[key.index] = nowMs;
}

/** Joins host and port, with brackets around an IPv6 address. */
export function hostPort(host: string, port: number): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

/** The endpoints known at one moment, in a stable order. The array is replaced on change, never mutated. */
export type EndpointSnapshot = readonly Endpoint[];

/** Length that a table indexed by `Endpoint.slot` needs to cover all of `endpoints`. */
export function slotTableLength(endpoints: readonly Endpoint[]): number {
  let max = -1;
  for (let i = 0; i < endpoints.length; i++) {
    const slot = endpoints[i]!.slot;
    if (slot > max) max = slot;
  }
  return max + 1;
}
