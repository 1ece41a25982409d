import { BoundedValues } from "../bounded-values.ts";
import type { Counter, Gauge, Histogram, MetricFamily, MetricsRegistry } from "../metrics.ts";
import type { Usage } from "../plugin/parser.ts";
import type { InferenceRequest } from "../request.ts";

const latencySeconds = [
  0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1, 1.25, 1.5, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 45, 60, 120, 180, 240,
  300, 360, 480, 600, 900, 1200, 1800, 2700, 3600,
];
const requestBytes = Array.from({ length: 25 }, (_, i) => 64 * 2 ** i);
const inputTokens = [
  1, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768, 65536, 131072, 262144, 524288, 1048576,
];
const outputTokens = [1, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192];

/** Series that one metric can have; a new combination beyond it is counted under `other`. */
const maxCombinations = 4000;

interface BoundMetrics {
  readonly total: Counter;
  readonly running: Gauge;
  readonly sizeBytes: Histogram;
  readonly durationSeconds: Histogram;
  readonly inputTokens: Histogram;
  readonly outputTokens: Histogram;
  readonly cachedTokens: Histogram;
}

/** Request metrics, with children bound per set of labels. Source: spec metrics section 4. */
export class RequestMetrics {
  readonly #models = new BoundedValues(1000);
  readonly #fairnessIds = new BoundedValues(1000);
  readonly #combinations = new Set<string>();
  readonly #bound = new Map<string, BoundMetrics>();
  readonly #families: { readonly [K in keyof BoundMetrics]: MetricFamily<BoundMetrics[K]> };
  readonly #errors: MetricFamily<Counter>;
  readonly #ttft: MetricFamily<Histogram>;

  constructor(metrics: MetricsRegistry) {
    const labelNames = ["model_name", "target_model_name", "fairness_id", "priority"];
    this.#families = {
      total: metrics.counter({ name: "llm_d_epp_request_total", help: "Requests that were routed.", labelNames }),
      running: metrics.gauge({
        name: "llm_d_epp_request_running",
        help: "Requests routed and not finished.",
        labelNames,
      }),
      sizeBytes: metrics.histogram({
        name: "llm_d_epp_request_size_bytes",
        help: "Size of request bodies as sent on.",
        labelNames,
        buckets: requestBytes,
      }),
      durationSeconds: metrics.histogram({
        name: "llm_d_epp_request_duration_seconds",
        help: "Time from the request's first message to the end of its answer.",
        labelNames,
        buckets: latencySeconds,
      }),
      inputTokens: metrics.histogram({
        name: "llm_d_epp_request_input_tokens",
        help: "Prompt tokens as reported by the model server.",
        labelNames,
        buckets: inputTokens,
      }),
      outputTokens: metrics.histogram({
        name: "llm_d_epp_request_output_tokens",
        help: "Completion tokens as reported by the model server.",
        labelNames,
        buckets: outputTokens,
      }),
      cachedTokens: metrics.histogram({
        name: "llm_d_epp_request_cached_tokens",
        help: "Prompt tokens that the model server found in its prefix cache.",
        labelNames,
        buckets: inputTokens,
      }),
    };
    this.#errors = metrics.counter({
      name: "llm_d_epp_request_error_total",
      help: "Requests that ended in an error, by code.",
      labelNames: [...labelNames, "error_code"],
    });
    this.#ttft = metrics.histogram({
      name: "llm_d_epp_request_ttft_seconds",
      help: "Time from the request's first message to the first byte of the answer's body.",
      labelNames: [...labelNames, "streaming"],
      buckets: latencySeconds.filter((bound) => bound <= 120),
    });
  }

  /** Metrics of one request's labels; the object stays the same for equal labels. */
  of(request: InferenceRequest | undefined): BoundMetrics {
    const labels = this.#labels(request);
    const id = labels.join("\u0000");
    let bound = this.#bound.get(id);
    if (bound === undefined) {
      const f = this.#families;
      bound = {
        total: f.total.labels(...labels),
        running: f.running.labels(...labels),
        sizeBytes: f.sizeBytes.labels(...labels),
        durationSeconds: f.durationSeconds.labels(...labels),
        inputTokens: f.inputTokens.labels(...labels),
        outputTokens: f.outputTokens.labels(...labels),
        cachedTokens: f.cachedTokens.labels(...labels),
      };
      this.#bound.set(id, bound);
    }
    return bound;
  }

  error(request: InferenceRequest | undefined, code: string): void {
    this.#errors.labels(...this.#labels(request), code).inc();
  }

  firstByte(request: InferenceRequest | undefined, streaming: boolean, seconds: number): void {
    this.#ttft.labels(...this.#labels(request), String(streaming)).observe(seconds);
  }

  usage(request: InferenceRequest | undefined, usage: Usage): void {
    const bound = this.of(request);
    if ((usage.promptTokens ?? 0) > 0) bound.inputTokens.observe(usage.promptTokens!);
    if ((usage.completionTokens ?? 0) > 0) bound.outputTokens.observe(usage.completionTokens!);
    if (usage.cachedTokens !== undefined) bound.cachedTokens.observe(usage.cachedTokens);
  }

  #labels(request: InferenceRequest | undefined): string[] {
    if (request === undefined) return ["", "", "", "0"];
    const labels = [
      this.#models.bound(request.incomingModel),
      this.#models.bound(request.targetModel),
      this.#fairnessIds.bound(request.fairnessId),
      String(request.priority),
    ];
    const id = labels.join("\u0000");
    if (this.#combinations.has(id)) return labels;
    if (this.#combinations.size >= maxCombinations) return ["other", "other", "other", labels[3]!];
    this.#combinations.add(id);
    return labels;
  }
}
