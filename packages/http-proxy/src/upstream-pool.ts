import type { Endpoint } from "@pointsman/core";
import type { Deadlines } from "./deadlines.ts";
import type { HttpProxyLimits } from "./http-proxy-limits.ts";
import type { ProxyMetrics } from "./proxy-metrics.ts";
import { UpstreamConnection, type UpstreamContext } from "./upstream-connection.ts";

/** Connections to model servers: idle ones are used again, the most recent first, so that the others can age out. */
export class UpstreamPool implements UpstreamContext {
  readonly deadlines: Deadlines;
  readonly limits: HttpProxyLimits;
  readonly metrics: ProxyMetrics;
  readonly broken: (thrown: unknown) => void;
  /** A list stays, even when empty, as long as a connection of its endpoint is open. */
  readonly #idle = new Map<string, UpstreamConnection[]>();
  #stopped = false;

  constructor(deps: {
    readonly deadlines: Deadlines;
    readonly limits: HttpProxyLimits;
    readonly metrics: ProxyMetrics;
    readonly broken: (thrown: unknown) => void;
  }) {
    this.deadlines = deps.deadlines;
    this.limits = deps.limits;
    this.metrics = deps.metrics;
    this.broken = deps.broken;
  }

  /** A connection for one request. `fresh`: not one that was used before. */
  acquire(endpoint: Endpoint, fresh: boolean): UpstreamConnection {
    const { hostPort, metadata } = endpoint;
    const idle = fresh ? undefined : this.#idle.get(hostPort);
    const connection = idle?.pop();
    return connection ?? new UpstreamConnection(this, hostPort, metadata.address, metadata.port);
  }

  keep(connection: UpstreamConnection): boolean {
    if (this.#stopped) return false;
    let idle = this.#idle.get(connection.key);
    if (idle === undefined) {
      idle = [];
      this.#idle.set(connection.key, idle);
    }
    if (idle.length >= this.limits.maxIdleUpstreamsPerEndpoint) return false;
    idle.push(connection);
    return true;
  }

  gone(connection: UpstreamConnection): void {
    const idle = this.#idle.get(connection.key);
    if (idle === undefined) return;
    const at = idle.indexOf(connection);
    if (at !== -1) idle.splice(at, 1);
    if (idle.length === 0) this.#idle.delete(connection.key);
  }

  /** Closes the idle connections and keeps none from here on. */
  stop(): void {
    this.#stopped = true;
    for (const idle of [...this.#idle.values()]) {
      for (const connection of [...idle]) connection.close();
    }
  }
}
