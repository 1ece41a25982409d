import type { Histogram, PluginHost } from "@pointsman/core";

const latencyBuckets = [0.01, 0.025, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 51.2, 102.4] as const;
const errorBuckets = [0.1, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2, 5, 10] as const;

/** Compares times to first token as expected with those that came. */
export class PredictionMetrics {
  readonly #expected: Histogram;
  readonly #observed: Histogram;
  readonly #error: Histogram;

  constructor(host: PluginHost) {
    const labelNames = ["plugin_type", "plugin_name"] as const;
    const bind = (name: string, help: string, buckets: readonly number[]): Histogram =>
      host.metrics.histogram({ name, help, buckets: [...buckets], labelNames }).labels(host.type, host.name);
    this.#expected = bind(
      "llm_d_epp_expected_ttft_seconds",
      "Time to first token expected when the endpoint was chosen.",
      latencyBuckets,
    );
    this.#observed = bind(
      "llm_d_epp_observed_ttft_seconds",
      "Time from choosing the endpoint to the first byte of the answer.",
      latencyBuckets,
    );
    this.#error = bind(
      "llm_d_epp_expected_ttft_error_ratio",
      "Distance of expected from observed time to first token, as a share of the observed one.",
      errorBuckets,
    );
  }

  observe(expectedMs: number, observedMs: number): void {
    if (!(expectedMs >= 0 && observedMs > 0)) return;
    this.#expected.observe(expectedMs / 1000);
    this.#observed.observe(observedMs / 1000);
    this.#error.observe(Math.abs(expectedMs - observedMs) / observedMs);
  }
}
