import {
  BoundedValues,
  type EndpointMetadata,
  type Gauge,
  type MetricFamily,
  ownName,
  type PluginHost,
} from "@pointsman/core";

const labelNames = ["endpoint_name", "namespace", "producer_name", "fairness_id", "priority"];
const maxFairnessIds = 1000;
const maxSeries = 10_000;

/** What is in flight on one endpoint for one fairness id and priority. */
export interface LoadSeries {
  readonly labels: readonly string[];
  /** Place in `owner`, which holds the endpoint's series. */
  readonly key: string;
  readonly owner: Map<string, LoadSeries>;
  readonly requestsGauge: Gauge;
  readonly tokensGauge: Gauge;
  requests: number;
  tokens: number;
  removed: boolean;
}

/**
 * Gauges of the load in flight. Source: spec metrics, section 8.
 *
 * Clients choose fairness ids: after 1,000 distinct ones the rest count as `other`, and beyond 10,000 series those that
 * lie at 0 longest are removed.
 */
export class LoadMetrics {
  readonly #requests: MetricFamily<Gauge>;
  readonly #tokens: MetricFamily<Gauge>;
  readonly #producerName: string;
  readonly #fairnessIds: BoundedValues = new BoundedValues(maxFairnessIds);
  /** Series at 0, the one that got there first first. */
  readonly #idle: Set<LoadSeries> = new Set();
  #count = 0;

  constructor({ metrics, name }: PluginHost) {
    this.#requests = metrics.gauge({
      name: "llm_d_epp_inflight_requests",
      help: "Requests sent to an endpoint whose answer has not ended.",
      labelNames,
    });
    this.#tokens = metrics.gauge({
      name: "llm_d_epp_inflight_tokens",
      help: "Estimated tokens that an endpoint has still to compute for requests in flight.",
      labelNames,
    });
    this.#producerName = name;
  }

  /** The series of an endpoint for these labels, made if absent. `owner` holds the endpoint's series. */
  seriesOf(
    owner: Map<string, LoadSeries>,
    metadata: EndpointMetadata,
    fairnessId: string,
    priority: number,
  ): LoadSeries {
    const fairness = this.#fairnessIds.bound(fairnessId);
    const key = `${priority} ${fairness}`;
    const known = owner.get(key);
    if (known !== undefined) return known;
    const labels = [ownName(metadata), metadata.namespace, this.#producerName, fairness, String(priority)];
    const series: LoadSeries = {
      labels,
      key,
      owner,
      requestsGauge: this.#requests.labels(...labels),
      tokensGauge: this.#tokens.labels(...labels),
      requests: 0,
      tokens: 0,
      removed: false,
    };
    owner.set(key, series);
    this.#count++;
    for (const idle of this.#idle) {
      if (this.#count <= maxSeries) break;
      this.#remove(idle);
    }
    return series;
  }

  /** Adds to a series; one that was removed stays so. */
  add(series: LoadSeries, requests: number, tokens: number): void {
    if (series.removed) return;
    series.requests += requests;
    series.tokens += tokens;
    series.requestsGauge.set(series.requests);
    series.tokensGauge.set(series.tokens);
    if (series.requests === 0 && series.tokens === 0) this.#idle.add(series);
    else this.#idle.delete(series);
  }

  /** Removes the series of an endpoint that is gone. */
  removeAll(owner: Map<string, LoadSeries>): void {
    for (const series of [...owner.values()]) this.#remove(series);
  }

  #remove(series: LoadSeries): void {
    series.removed = true;
    this.#idle.delete(series);
    series.owner.delete(series.key);
    this.#requests.remove(...series.labels);
    this.#tokens.remove(...series.labels);
    this.#count--;
  }
}
