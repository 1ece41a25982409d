import type { Counter, Endpoint, Histogram, MetricFamily, PluginHost } from "@pointsman/core";
import { type Modality, modalities } from "./request-items.ts";

const ratioBuckets = [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1];

/** Metrics of one producer instance. Source: spec metrics, `encoder_cache_*`. */
export class EncoderCacheMetrics {
  readonly #queries: ReadonlyMap<Modality, Counter>;
  readonly #hits: MetricFamily<Counter>;
  readonly #hitRatio: Histogram;
  readonly #names: readonly [type: string, name: string];
  /** Endpoints that have series. */
  readonly #endpoints: Map<string, Map<Modality, Counter>> = new Map();

  constructor({ metrics, name, type }: PluginHost) {
    this.#names = [type, name];
    const queries = metrics.counter({
      name: "llm_d_epp_encoder_cache_queries_total",
      help: "Multimodal items looked up.",
      labelNames: ["plugin_type", "plugin_name", "modality"],
    });
    this.#queries = new Map(modalities.map((modality) => [modality, queries.labels(type, name, modality)]));
    this.#hits = metrics.counter({
      name: "llm_d_epp_encoder_cache_hits_total",
      help: "Multimodal items looked up that an endpoint should hold.",
      labelNames: ["plugin_type", "plugin_name", "pod", "modality"],
    });
    this.#hitRatio = metrics
      .histogram({
        name: "llm_d_epp_encoder_cache_hit_ratio",
        help: "Share of a request's multimodal items that a candidate should hold.",
        labelNames: ["plugin_type", "plugin_name"],
        buckets: ratioBuckets,
      })
      .labels(type, name);
  }

  countQuery(modality: Modality): void {
    this.#queries.get(modality)?.inc();
  }

  countHit({ id }: Endpoint, modality: Modality): void {
    let series = this.#endpoints.get(id);
    if (series === undefined) {
      series = new Map();
      this.#endpoints.set(id, series);
    }
    let counter = series.get(modality);
    if (counter === undefined) {
      counter = this.#hits.labels(...this.#names, id, modality);
      series.set(modality, counter);
    }
    counter.inc();
  }

  observeRatio(ratio: number): void {
    this.#hitRatio.observe(ratio);
  }

  /** Removes the series of endpoints whose ids are not among `known`. */
  keepOnly(known: ReadonlySet<string>): void {
    for (const id of this.#endpoints.keys()) {
      if (!known.has(id)) this.remove(id);
    }
  }

  /** Removes the series of an endpoint. */
  remove(id: string): void {
    for (const modality of this.#endpoints.get(id)?.keys() ?? []) this.#hits.remove(...this.#names, id, modality);
    this.#endpoints.delete(id);
  }
}
