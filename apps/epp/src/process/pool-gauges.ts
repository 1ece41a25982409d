import {
  type Clock,
  type Endpoint,
  KV_CACHE_USAGE,
  type MetricsRegistry,
  RUNNING_REQUESTS_SIZE,
  WAITING_QUEUE_SIZE,
} from "@pointsman/core";

/** Publishes averages over the endpoints whose signals are fresh. Source: spec metrics section 5. */
export function createPoolGauges(options: {
  readonly metrics: MetricsRegistry;
  readonly pool: string;
  readonly endpoints: () => readonly Endpoint[];
  readonly clock: Clock;
  readonly stalenessMs: number;
  /** Endpoints are scraped: one without a fresh signal is not ready. Otherwise nothing speaks against any. */
  readonly scraped: boolean;
}): { update(): void } {
  const gauge = (name: string, help: string) =>
    options.metrics.gauge({ name: `llm_d_epp_${name}`, help, labelNames: ["name"] }).labels(options.pool);
  const known = gauge("known_endpoints", "Endpoints that discovery reports.");
  const ready = gauge("ready_endpoints", "Endpoints with at least one fresh signal; all, if none is scraped.");
  const averages = [
    {
      key: KV_CACHE_USAGE,
      gauge: gauge("average_kv_cache_utilization", "Mean KV cache use of the endpoints, 0 to 1."),
    },
    { key: WAITING_QUEUE_SIZE, gauge: gauge("average_queue_size", "Mean waiting queue of the endpoints.") },
    { key: RUNNING_REQUESTS_SIZE, gauge: gauge("average_running_requests", "Mean running requests of the endpoints.") },
  ];
  return {
    update() {
      const endpoints = options.endpoints();
      const nowMs = options.clock.now();
      const fresh = (endpoint: Endpoint, index: number): number | undefined =>
        nowMs - (endpoint.writtenAtMs[index] ?? Number.NEGATIVE_INFINITY) <= options.stalenessMs
          ? (endpoint.values[index] as number | undefined)
          : undefined;
      known.set(endpoints.length);
      ready.set(
        options.scraped
          ? endpoints.filter((endpoint) => averages.some(({ key }) => fresh(endpoint, key.index) !== undefined)).length
          : endpoints.length,
      );
      for (const { key, gauge: average } of averages) {
        let sum = 0;
        let count = 0;
        for (const endpoint of endpoints) {
          const value = fresh(endpoint, key.index);
          if (value !== undefined) {
            sum += value;
            count++;
          }
        }
        average.set(count === 0 ? Number.NaN : sum / count);
      }
    },
  };
}
