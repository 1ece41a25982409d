import { BoundedValues } from "../bounded-values.ts";
import type { Endpoint } from "../endpoint.ts";
import type { Counter, MetricFamily, MetricsRegistry } from "../metrics.ts";
import type { EndpointEvent, EndpointListener } from "../plugin/data-plugins.ts";

const maxModels = 1000;
/** Series of successful runs at once; beyond it, a new model at an endpoint counts under `other`. */
const maxSeries = 10_000;

interface EndpointSeries {
  readonly labels: readonly [name: string, namespace: string, port: string];
  readonly byModel: Map<string, Counter>;
}

/**
 * Counts scheduling runs by outcome, model and chosen endpoint. With an endpoint its series go, so it wants to hear of
 * endpoints. Source: spec metrics section 5.
 */
export class SchedulerAttempts implements EndpointListener {
  readonly #family: MetricFamily<Counter>;
  readonly #models = new BoundedValues(maxModels);
  readonly #failures = new Map<string, Counter>();
  readonly #endpoints = new Map<Endpoint, EndpointSeries>();
  /** A request that waited may still be sent to one of these; nobody would remove its series again. */
  readonly #gone = new WeakSet<Endpoint>();
  #seriesCount = 0;

  constructor(metrics: MetricsRegistry) {
    this.#family = metrics.counter({
      name: "llm_d_epp_scheduler_attempts_total",
      help: "Scheduling runs by outcome, model and first target.",
      labelNames: ["status", "target_model_name", "endpoint_name", "namespace", "port"],
    });
  }

  failed(targetModel: string): void {
    const model = this.#models.bound(targetModel);
    let counter = this.#failures.get(model);
    if (counter === undefined) {
      counter = this.#family.labels("failure", model, "", "", "");
      this.#failures.set(model, counter);
    }
    counter.inc();
  }

  succeeded(targetModel: string, endpoint: Endpoint): void {
    let series = this.#endpoints.get(endpoint);
    if (series === undefined) {
      if (this.#gone.has(endpoint)) {
        this.#family.labels("success", this.#models.bound(targetModel), "", "", "").inc();
        return;
      }
      series = { labels: labelsOf(endpoint), byModel: new Map() };
      this.#endpoints.set(endpoint, series);
    }
    const { labels, byModel } = series;
    let model = this.#models.bound(targetModel);
    if (this.#seriesCount >= maxSeries && !byModel.has(model)) model = "other";
    let counter = byModel.get(model);
    if (counter === undefined) {
      counter = this.#family.labels("success", model, ...labels);
      byModel.set(model, counter);
      this.#seriesCount++;
    }
    counter.inc();
  }

  endpointChanged({ type, endpoint }: EndpointEvent): void {
    if (type === "delete") this.#gone.add(endpoint);
    const series = this.#endpoints.get(endpoint);
    if (series === undefined) return;
    const labels = labelsOf(endpoint);
    if (type !== "delete" && labels.every((label, at) => label === series.labels[at])) return;
    for (const model of series.byModel.keys()) this.#family.remove("success", model, ...series.labels);
    this.#seriesCount -= series.byModel.size;
    this.#endpoints.delete(endpoint);
  }
}

function labelsOf({ metadata }: Endpoint): readonly [string, string, string] {
  return [metadata.name, metadata.namespace, String(metadata.port)];
}
