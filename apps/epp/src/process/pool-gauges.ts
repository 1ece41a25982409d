import {
  type AttributeKey,
  type Clock,
  type Endpoint,
  type Gauge,
  KV_CACHE_USAGE,
  type MetricsRegistry,
  ownName,
  RUNNING_REQUESTS_SIZE,
  WAITING_QUEUE_SIZE,
} from "@pointsman/core";

export interface PoolGaugesOptions {
  readonly metrics: MetricsRegistry;
  readonly pool: string;
  readonly endpoints: () => readonly Endpoint[];
  readonly clock: Clock;
  readonly stalenessMs: number;
  /** Endpoints are scraped: one without a fresh signal is not ready. Otherwise nothing speaks against any. */
  readonly scraped: () => boolean;
}

/** Mean and spread of one signal. */
interface SignalGauges {
  readonly key: AttributeKey<number>;
  readonly average: Gauge;
  readonly stdDev: Gauge;
}

/**
 * Publishes figures of the endpoints whose signals are fresh; averages are NaN where there is none. Source: spec metrics
 * section 5.
 */
export function createPoolGauges(options: PoolGaugesOptions): { update(): void } {
  const gauge = (name: string, help: string): Gauge =>
    options.metrics.gauge({ name: `llm_d_epp_${name}`, help, labelNames: ["name"] }).labels(options.pool);
  const known = gauge("known_endpoints", "Endpoints that discovery reports.");
  const ready = gauge("ready_endpoints", "Endpoints with at least one fresh signal; all, if none is scraped.");
  const signal = (key: AttributeKey<number>, name: string, what: string): SignalGauges => ({
    key,
    average: gauge(`average_${name}`, `Mean ${what} of the endpoints.`),
    stdDev: gauge(`std_dev_${name}`, `Sample standard deviation of the ${what} of the endpoints.`),
  });
  const signals = [
    signal(KV_CACHE_USAGE, "kv_cache_utilization", "KV cache use, 0 to 1,"),
    signal(WAITING_QUEUE_SIZE, "queue_size", "waiting queue"),
    signal(RUNNING_REQUESTS_SIZE, "running_requests", "running requests"),
  ];
  const queues = endpointQueues(options);
  return {
    update() {
      const endpoints = options.endpoints();
      const nowMs = options.clock.now();
      const fresh = (endpoint: Endpoint, { index }: AttributeKey<number>): number | undefined =>
        nowMs - (endpoint.writtenAtMs[index] ?? Number.NEGATIVE_INFINITY) <= options.stalenessMs
          ? // What stands at a key's index was written under that key.
            (endpoint.values[index] as number | undefined)
          : undefined;
      known.set(endpoints.length);
      const isReady = (endpoint: Endpoint): boolean => signals.some(({ key }) => fresh(endpoint, key) !== undefined);
      ready.set(options.scraped() ? endpoints.filter(isReady).length : endpoints.length);
      for (const { key, average, stdDev } of signals) {
        const values = endpoints.flatMap((endpoint) => fresh(endpoint, key) ?? []);
        const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
        average.set(mean);
        stdDev.set(deviation(values, mean));
      }
      queues.update(endpoints, (endpoint) => fresh(endpoint, WAITING_QUEUE_SIZE));
    },
  };
}

/** Sample standard deviation; 0 of one value, NaN of none. */
function deviation(values: readonly number[], mean: number): number {
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return values.length === 0 ? Number.NaN : Math.sqrt(squares / Math.max(1, values.length - 1));
}

/** The queue of each endpoint; one without a fresh figure, or that is gone, has no series. */
function endpointQueues({ metrics, pool }: PoolGaugesOptions): {
  update(endpoints: readonly Endpoint[], queueOf: (endpoint: Endpoint) => number | undefined): void;
} {
  const family = metrics.gauge({
    name: "llm_d_epp_per_endpoint_queue_size",
    help: "Waiting queue of an endpoint.",
    labelNames: ["name", "model_server_endpoint", "namespace"],
  });
  const shown = new Map<string, { readonly labels: readonly [string, string, string]; readonly gauge: Gauge }>();
  return {
    update(endpoints, queueOf) {
      const gone = new Set(shown.keys());
      for (const endpoint of endpoints) {
        const queue = queueOf(endpoint);
        if (queue === undefined) continue;
        gone.delete(endpoint.id);
        let series = shown.get(endpoint.id);
        if (series === undefined) {
          const labels = [pool, ownName(endpoint.metadata), endpoint.metadata.namespace] as const;
          series = { labels, gauge: family.labels(...labels) };
          shown.set(endpoint.id, series);
        }
        series.gauge.set(queue);
      }
      for (const id of gone) {
        family.remove(...shown.get(id)!.labels);
        shown.delete(id);
      }
    },
  };
}
