import type { Counter, Gauge, Histogram, MetricFamily, MetricsRegistry } from "@pointsman/core";

/** Stages that a request may pass. */
export type Stage = "encode" | "prefill" | "decode";

/** Upper bounds in seconds: from a short answer of a cached prompt to an hour's stream. */
export const durationBuckets: readonly number[] = [
  0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600,
];

/** The sidecar's metrics. All labels have few values, none chosen by a client. */
export class SidecarMetrics {
  /** Labels: way, HTTP status of the answer; status 0 when the client left before one. */
  readonly requests: MetricFamily<Counter>;
  readonly openRequests: Gauge;
  /** Labels: stage. */
  readonly stageDuration: MetricFamily<Histogram>;
  /** Labels: way. From the request's head to the first byte of the answer's body. */
  readonly firstByte: MetricFamily<Histogram>;
  /** Labels: stage, reason. */
  readonly stageFailures: MetricFamily<Counter>;
  /** Labels: connector, reason. A prefill that worked and whose KV cache did not reach the decode server. */
  readonly kvTransferFailures: MetricFamily<Counter>;
  /** Labels: name. */
  readonly fallbacks: MetricFamily<Counter>;
  readonly prefillRetries: Counter;
  /** Labels: role, reason. */
  readonly refusedTargets: MetricFamily<Counter>;
  readonly targetsRestricted: Gauge;
  readonly encoderConflicts: Counter;
  readonly internalErrors: Counter;
  readonly moriioReresolve: Counter;
  readonly moriioIpChanged: Counter;
  readonly moriioLookupFailures: Counter;

  constructor(registry: MetricsRegistry) {
    const counter = (name: string, help: string, ...labelNames: string[]): MetricFamily<Counter> =>
      registry.counter({ name, help, labelNames });
    const histogram = (name: string, help: string, ...labelNames: string[]): MetricFamily<Histogram> =>
      registry.histogram({ name, help, labelNames, buckets: durationBuckets });
    this.requests = counter(
      "pd_sidecar_requests_total",
      "Inference requests by the way they took and the status of the answer.",
      "way",
      "code",
    );
    this.openRequests = registry
      .gauge({ name: "pd_sidecar_open_requests", help: "Requests that are not answered completely." })
      .labels();
    this.stageDuration = histogram(
      "pd_sidecar_stage_duration_seconds",
      "Time a model server took for a stage.",
      "stage",
    );
    this.firstByte = histogram(
      "pd_sidecar_time_to_first_byte_seconds",
      "Time from the request to the first byte of the answer's body.",
      "way",
    );
    this.stageFailures = counter(
      "pd_sidecar_stage_failures_total",
      "Stages that failed, by reason: a class of statuses or a kind of connection failure.",
      "stage",
      "reason",
    );
    this.kvTransferFailures = counter(
      "pd_sidecar_kv_transfer_failures_total",
      "Prefills whose KV cache did not reach the decode server, as far as it can be told.",
      "connector",
      "reason",
    );
    this.fallbacks = counter("pd_sidecar_fallbacks_total", "Requests that took another way than asked for.", "name");
    this.prefillRetries = counter(
      "pd_sidecar_prefill_retries_total",
      "Prefill requests that were sent again.",
    ).labels();
    this.refusedTargets = counter(
      "pd_sidecar_refused_targets_total",
      "Addresses in headers that were not used.",
      "role",
      "reason",
    );
    this.targetsRestricted = registry
      .gauge({
        name: "pd_sidecar_targets_restricted",
        help: "1 while addresses in headers must be allowed, 0 while every one is used.",
      })
      .labels();
    this.encoderConflicts = counter(
      "pd_sidecar_encoder_conflicts_total",
      "Encoder results of one multimodal hash that differ; the first is used.",
    ).labels();
    this.internalErrors = counter("pd_sidecar_internal_errors_total", "Failures of the sidecar's own code.").labels();
    this.moriioReresolve = counter("moriio_dns_reresolve_total", "Look-ups of MoRI-IO hosts.").labels();
    this.moriioIpChanged = counter("moriio_dns_ip_changed_total", "Look-ups that gave another address.").labels();
    this.moriioLookupFailures = counter("moriio_dns_lookup_failures_total", "Look-ups that failed.").labels();
  }
}
