import type { Target } from "./target.ts";
import { type ConnectionOwner, UpstreamConnection } from "./upstream-connection.ts";
import type { UpstreamLimits, UpstreamTls } from "./upstream-limits.ts";

export interface UpstreamPoolOptions {
  readonly limits: UpstreamLimits;
  /** `undefined`: connections are not encrypted. */
  readonly tls: UpstreamTls | undefined;
  broken(thrown: unknown): void;
}

const sweepIntervalMs = 1000;

/** Connections to the servers of one stage: idle ones are used again, the most recent first, so that others age out. */
export class UpstreamPool implements ConnectionOwner {
  readonly limits: UpstreamLimits;
  readonly tls: UpstreamTls | undefined;
  readonly broken: (thrown: unknown) => void;
  readonly #idle = new Map<string, UpstreamConnection[]>();
  readonly #sweep: NodeJS.Timeout;
  #stopped = false;

  constructor(options: UpstreamPoolOptions) {
    this.limits = options.limits;
    this.tls = options.tls;
    this.broken = (thrown) => options.broken(thrown);
    this.#sweep = setInterval(() => this.#closeOld(), sweepIntervalMs);
    this.#sweep.unref();
  }

  /** A connection for one request. `fresh`: not one that was used before. */
  acquire(target: Target, fresh: boolean): UpstreamConnection {
    const idle = fresh ? undefined : this.#idle.get(target.hostPort);
    const connection = idle?.pop();
    if (idle?.length === 0) this.#idle.delete(target.hostPort);
    return connection ?? new UpstreamConnection(this, target);
  }

  keep(connection: UpstreamConnection): boolean {
    if (this.#stopped) return false;
    let idle = this.#idle.get(connection.key);
    if (idle === undefined) {
      idle = [];
      this.#idle.set(connection.key, idle);
    }
    if (idle.length >= this.limits.maxIdlePerTarget) return false;
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
    clearInterval(this.#sweep);
    for (const idle of [...this.#idle.values()]) {
      for (const connection of [...idle]) connection.close();
    }
  }

  #closeOld(): void {
    const nowMs = performance.now();
    for (const idle of [...this.#idle.values()]) {
      for (const connection of idle.filter((each) => each.idleUntilMs <= nowMs)) connection.close();
    }
  }
}
