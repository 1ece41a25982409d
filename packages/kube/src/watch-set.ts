import type { Clock, Counter, Gauge, Logger, MetricFamily, MetricsRegistry, Timers } from "@pointsman/core";
import type { ApiClient } from "./api-client.ts";
import { type ListReason, type ResourceSink, ResourceWatch, type WatchStatus } from "./resource-watch.ts";
import type { WatchLimits } from "./watch-limits.ts";

/** What all watches of a process share. */
export interface WatchEnvironment {
  readonly client: ApiClient;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: () => number;
  readonly logger: Logger;
  readonly metrics: MetricsRegistry;
  /** Before the names of the metrics; `llm_d_epp` when absent. */
  readonly metricPrefix?: string;
  /** Times of the watches; tests shorten them. */
  readonly limits?: Partial<WatchLimits>;
}

export interface WatchRequest {
  /** Name in logs and metrics. */
  readonly resource: string;
  /** Tells the watch from the others of the set; the name when absent. */
  readonly key?: string;
  readonly paths: readonly string[];
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
  /** Members of objects that the sink does not read. */
  readonly skip?: readonly string[];
  readonly sink: ResourceSink;
  /** Another path is followed than before; called after its first list. */
  readonly onPath?: (path: string) => void;
}

/** Time between reminders that contact is lost. */
const reminderMs = 60_000;

/** The watches of a process, with what the log and the metrics tell of them. */
export class WatchSet {
  readonly #environment: WatchEnvironment;
  readonly #watches = new Map<string, ResourceWatch>();
  readonly #lists: MetricFamily<Counter>;
  readonly #connected: MetricFamily<Gauge>;
  readonly #ages: MetricFamily<Gauge>;
  readonly #objects: MetricFamily<Gauge>;
  readonly #reminder: { stop(): void };

  constructor(environment: WatchEnvironment) {
    this.#environment = environment;
    const { metrics, timers, metricPrefix = "llm_d_epp" } = environment;
    const labelNames = ["resource"];
    this.#lists = metrics.counter({
      name: `${metricPrefix}_kubernetes_lists_total`,
      help: "Full lists of Kubernetes objects by reason: start, resync, expired, lost (a watch broke), failed (a list did).",
      labelNames: ["resource", "reason"],
    });
    this.#connected = metrics.gauge({
      name: `${metricPrefix}_kubernetes_connected`,
      help: "1 while a watch of the resource runs.",
      labelNames,
    });
    this.#ages = metrics.gauge({
      name: `${metricPrefix}_kubernetes_state_age_seconds`,
      help: "Time since the state of the resource was last confirmed by the API server; absent before the first list.",
      labelNames,
    });
    this.#objects = metrics.gauge({
      name: `${metricPrefix}_kubernetes_objects`,
      help: "Objects of the resource that are followed.",
      labelNames,
    });
    this.#reminder = timers.every(reminderMs, () => this.#remind());
  }

  /** Starts to follow a resource, in place of the one of the same key. */
  follow(request: WatchRequest): ResourceWatch {
    const { logger, client } = this.#environment;
    const { resource, key = resource } = request;
    this.forget(key);
    const watch: ResourceWatch = new ResourceWatch({
      ...request,
      ...this.#environment,
      hooks: {
        ...(request.onPath === undefined ? {} : { onPath: request.onPath }),
        onList: (reason: ListReason) => this.#lists.labels(resource, reason).inc(),
        onAway: (problem) => {
          const { synced, ageMs } = watch.status();
          const fields = { resource, server: client.server, problem, ageMs: rounded(ageMs) };
          if (synced) logger.warn(fields, "no contact with Kubernetes: serving on from the last state");
          else logger.warn(fields, "Kubernetes cannot be read yet; trying on");
        },
        onBack: (awayMs) => logger.info({ resource, awayMs: rounded(awayMs) }, "contact with Kubernetes"),
      },
    });
    this.#watches.set(key, watch);
    watch.start();
    return watch;
  }

  /** Ends a watch. */
  forget(key: string): void {
    const watch = this.#watches.get(key);
    if (watch === undefined) return;
    watch.stop();
    this.#watches.delete(key);
    const { resource } = watch.status();
    if (this.statuses().some((other) => other.resource === resource)) return;
    for (const family of [this.#connected, this.#ages, this.#objects]) family.remove(resource);
  }

  get(key: string): ResourceWatch | undefined {
    return this.#watches.get(key);
  }

  statuses(): readonly WatchStatus[] {
    return [...this.#watches.values()].map((watch) => watch.status());
  }

  /** Brings the gauges up to date. */
  updateMetrics(): void {
    for (const { resource, connected, ageMs, objects } of this.statuses()) {
      this.#connected.labels(resource).set(connected ? 1 : 0);
      this.#objects.labels(resource).set(objects);
      if (ageMs !== undefined) this.#ages.labels(resource).set(ageMs / 1000);
    }
  }

  stop(): void {
    this.#reminder.stop();
    for (const key of [...this.#watches.keys()]) this.forget(key);
  }

  #remind(): void {
    for (const { resource, connected, absent, ageMs, problem, synced } of this.statuses()) {
      if (connected || absent) continue;
      const fields = { resource, ageMs: rounded(ageMs), problem };
      if (synced)
        this.#environment.logger.warn(fields, "still no contact with Kubernetes: serving on from the last state");
      else this.#environment.logger.warn(fields, "Kubernetes still cannot be read; trying on");
    }
  }
}

function rounded(ms: number | undefined): number | undefined {
  return ms === undefined ? undefined : Math.round(ms);
}
