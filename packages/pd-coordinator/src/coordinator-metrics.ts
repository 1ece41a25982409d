import type { Counter, Gauge, Histogram, MetricFamily, MetricsRegistry } from "@pointsman/core";
import { durationBuckets } from "@pointsman/pd-sidecar/shared";

/** The coordinator's metrics. All labels have few values, none chosen by a client. */
export class CoordinatorMetrics {
  /** Labels: path, HTTP status of the answer; status 0 when the client left before one. */
  readonly requests: MetricFamily<Counter>;
  readonly openRequests: Gauge;
  /** Labels: phase. */
  readonly phaseDuration: MetricFamily<Histogram>;
  /** Labels: path. From the request's head to the first byte of the answer's body. */
  readonly firstByte: MetricFamily<Histogram>;
  /** Labels: phase, reason. */
  readonly phaseFailures: MetricFamily<Counter>;
  /** Labels: result. */
  readonly conditionalDecodes: MetricFamily<Counter>;
  /** Labels: connector, reason. A prefill that worked and whose KV cache the decode server does not hear of. */
  readonly kvTransferFailures: MetricFamily<Counter>;
  readonly downloadedBytes: Counter;
  readonly internalErrors: Counter;

  constructor(registry: MetricsRegistry) {
    const counter = (name: string, help: string, ...labelNames: string[]): MetricFamily<Counter> =>
      registry.counter({ name, help, labelNames });
    const histogram = (name: string, help: string, ...labelNames: string[]): MetricFamily<Histogram> =>
      registry.histogram({ name, help, labelNames, buckets: durationBuckets });
    this.requests = counter(
      "pd_coordinator_requests_total",
      "Inference requests by their path and the status of the answer.",
      "path",
      "code",
    );
    this.openRequests = registry
      .gauge({ name: "pd_coordinator_open_requests", help: "Requests that are not answered completely." })
      .labels();
    this.phaseDuration = histogram("pd_coordinator_phase_duration_seconds", "Time that a phase took.", "phase");
    this.firstByte = histogram(
      "pd_coordinator_time_to_first_byte_seconds",
      "Time from the request to the first byte of the answer's body.",
      "path",
    );
    this.phaseFailures = counter(
      "pd_coordinator_phase_failures_total",
      "Phases that failed, by reason: a bad request, a class of statuses, a kind of connection failure.",
      "phase",
      "reason",
    );
    this.conditionalDecodes = counter(
      "pd_coordinator_conditional_decodes_total",
      "Conditional decodes by whether a decode server had the prompt in its cache.",
      "result",
    );
    this.kvTransferFailures = counter(
      "pd_coordinator_kv_transfer_failures_total",
      "Prefills whose answer does not say where the KV cache is, or that failed after decode had begun.",
      "connector",
      "reason",
    );
    this.downloadedBytes = counter(
      "pd_coordinator_downloaded_bytes_total",
      "Bytes of images that were fetched.",
    ).labels();
    this.internalErrors = counter(
      "pd_coordinator_internal_errors_total",
      "Failures of the coordinator's own code.",
    ).labels();
  }
}
