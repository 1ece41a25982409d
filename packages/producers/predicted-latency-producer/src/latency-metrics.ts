import {
  BoundedValues,
  type Counter,
  type Gauge,
  type Histogram,
  type InferenceRequest,
  type MetricFamily,
  type PluginHost,
} from "@pointsman/core";

const modelLabels = ["plugin_name", "plugin_type", "model_name", "target_model_name"];
const ttftBuckets = [
  0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1, 1.25, 1.5, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 45, 60, 120, 180, 240,
  300, 360, 480, 600, 900, 1200, 1800, 2700, 3600,
];
const tpotBuckets = [
  0.0005, 0.00205, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.125, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1, 1.5, 2, 3,
  4.5, 6, 12, 18, 24, 30, 36, 48, 60, 90, 120, 180, 270, 360,
];
const durationBuckets = [0.0001, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5];
/** Pairs of models that have series; further ones count as `other`. */
const maxModelPairs = 1000;

/** What a request's end tells; milliseconds, `undefined` where unknown. */
export interface LatencyOutcome {
  readonly ttftMs: number | undefined;
  readonly tpotMs: number | undefined;
  readonly predictedTtftMs: number | undefined;
  readonly predictedTpotMs: number | undefined;
  readonly ttftSloMs: number | undefined;
  readonly tpotSloMs: number | undefined;
}

interface ModelSeries {
  readonly labels: readonly string[];
  readonly predictedTtft: Histogram;
  readonly predictedTpot: Histogram;
  readonly ttftDuration: Histogram;
  readonly tpotDuration: Histogram;
}

/** Metrics of one producer instance. Source: spec metrics section 9. */
export class LatencyMetrics {
  readonly #host: Pick<PluginHost, "name" | "type">;
  readonly #pairs: BoundedValues = new BoundedValues(maxModelPairs);
  readonly #series: Map<string, ModelSeries> = new Map();
  readonly #values: MetricFamily<Gauge>;
  readonly #violations: MetricFamily<Counter>;
  readonly #histograms: { readonly [K in Exclude<keyof ModelSeries, "labels">]: MetricFamily<Histogram> };

  constructor(host: PluginHost) {
    this.#host = host;
    const histogram = (name: string, help: string, buckets: readonly number[]): MetricFamily<Histogram> =>
      host.metrics.histogram({ name: `llm_d_epp_${name}`, help, labelNames: modelLabels, buckets });
    this.#histograms = {
      predictedTtft: histogram("request_predicted_ttft_seconds", "Predicted time to first token.", ttftBuckets),
      predictedTpot: histogram("request_predicted_tpot_seconds", "Predicted time per output token.", tpotBuckets),
      ttftDuration: histogram(
        "request_ttft_prediction_duration_seconds",
        "Time a request waited for predictions, the window for joining calls included.",
        durationBuckets,
      ),
      tpotDuration: histogram(
        "request_tpot_prediction_duration_seconds",
        "Time a request waited for predictions, the window for joining calls included.",
        durationBuckets,
      ),
    };
    this.#values = host.metrics.gauge({
      name: "llm_d_epp_inference_request_metric",
      help: "Figures of the request that ended last: seconds, and 0 or 1 for violations.",
      labelNames: [...modelLabels, "type"],
    });
    this.#violations = host.metrics.counter({
      name: "llm_d_epp_request_slo_violation_total",
      help: "Requests that took longer than their objective.",
      labelNames: [...modelLabels, "type"],
    });
  }

  /** Notes how long a request waited for its predictions. */
  predicted(request: InferenceRequest, durationMs: number): void {
    const series = this.#seriesOf(request);
    series.ttftDuration.observe(durationMs / 1000);
    series.tpotDuration.observe(durationMs / 1000);
    this.#set(series, "ttft_prediction_duration", durationMs);
    this.#set(series, "tpot_prediction_duration", durationMs);
  }

  /** Notes a request's end. */
  ended(request: InferenceRequest, outcome: LatencyOutcome): void {
    const series = this.#seriesOf(request);
    this.#set(series, "ttft", outcome.ttftMs);
    this.#set(series, "tpot", outcome.tpotMs);
    this.#set(series, "predicted_ttft", outcome.predictedTtftMs);
    this.#set(series, "predicted_tpot", outcome.predictedTpotMs);
    if (outcome.predictedTtftMs !== undefined) series.predictedTtft.observe(outcome.predictedTtftMs / 1000);
    if (outcome.predictedTpotMs !== undefined) series.predictedTpot.observe(outcome.predictedTpotMs / 1000);
    this.#compare(series, "ttft", outcome.ttftMs, outcome.ttftSloMs);
    this.#compare(series, "tpot", outcome.tpotMs, outcome.tpotSloMs);
  }

  #set({ labels }: ModelSeries, type: string, valueMs: number | undefined): void {
    if (valueMs !== undefined) this.#values.labels(...labels, type).set(valueMs / 1000);
  }

  #compare({ labels }: ModelSeries, type: string, actualMs: number | undefined, sloMs: number | undefined): void {
    if (actualMs === undefined || sloMs === undefined) return;
    const violated = actualMs > sloMs;
    this.#values.labels(...labels, `${type}_slo_violation`).set(violated ? 1 : 0);
    if (violated) this.#violations.labels(...labels, type).inc();
  }

  #seriesOf({ incomingModel, targetModel }: InferenceRequest): ModelSeries {
    const pair = this.#pairs.bound(JSON.stringify([incomingModel, targetModel]));
    const known = this.#series.get(pair);
    if (known !== undefined) return known;
    const models = pair === "other" ? ["other", "other"] : [incomingModel, targetModel];
    const labels = [this.#host.name, this.#host.type, ...models];
    const series = {
      labels,
      predictedTtft: this.#histograms.predictedTtft.labels(...labels),
      predictedTpot: this.#histograms.predictedTpot.labels(...labels),
      ttftDuration: this.#histograms.ttftDuration.labels(...labels),
      tpotDuration: this.#histograms.tpotDuration.labels(...labels),
    };
    this.#series.set(pair, series);
    return series;
  }
}
