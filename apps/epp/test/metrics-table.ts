/** A row of the metrics specification (spec metrics, sections 4 to 10), with names without the prefix `llm_d_epp_`. */
export interface MetricRow {
  readonly name: string;
  readonly type: "counter" | "gauge" | "histogram";
  readonly labels: readonly string[];
  /** Upper bounds of a histogram. */
  readonly buckets?: readonly number[];
  /** `series`: has values after the test's traffic. `declared`: stands on the page and never has a value here. */
  readonly seen: "series" | "declared";
}

const latency = [
  0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1, 1.25, 1.5, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 45, 60, 120, 180, 240,
  300, 360, 480, 600, 900, 1200, 1800, 2700, 3600,
];
const doubling = (first: number, count: number): readonly number[] =>
  Array.from({ length: count }, (_, i) => first * 2 ** i);
// The specification writes 32778 here, a slip of the original; apps/epp/docs/differences.md.
const responseBytes = [1, 8, ...doubling(16, 13)];
const inputTokens = [1, 8, ...doubling(16, 17)];
const fast = [0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1];
const ratio = [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1];
const predict = [0.0001, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5];
const tpot = [0.0005, 0.00205, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.125, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1];

const models = ["model_name", "target_model_name"];
const request = [...models, "fairness_id", "priority"];
const plugin = ["plugin_name", "plugin_type"];
const point = ["extension_point", "plugin_type", "plugin_name"];

const counter = (name: string, labels: readonly string[]): MetricRow => ({
  name,
  type: "counter",
  labels,
  seen: "series",
});
const gauge = (name: string, labels: readonly string[]): MetricRow => ({ name, type: "gauge", labels, seen: "series" });
const histogram = (name: string, labels: readonly string[], buckets: readonly number[]): MetricRow => ({
  name,
  type: "histogram",
  labels,
  buckets,
  seen: "series",
});

/** Series of every configuration, and of the plugins that the test's configurations name. */
export const metricRows: readonly MetricRow[] = [
  counter("request_total", request),
  counter("request_error_total", [...request, "error_code"]),
  histogram("request_size_bytes", request, doubling(64, 25)),
  gauge("request_running", request),
  histogram("request_duration_seconds", request, latency),
  histogram("response_size_bytes", request, responseBytes),
  histogram("request_input_tokens", request, inputTokens),
  histogram("request_output_tokens", request, [1, 8, ...doubling(16, 10)]),
  histogram("request_cached_tokens", request, inputTokens),
  histogram("request_ntpot_seconds", request, [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10]),
  histogram("request_ttft_seconds", [...request, "streaming"], latency.slice(0, 24)),
  histogram("request_streaming_tpot_seconds", request, [...tpot, 2]),
  histogram(
    "request_streaming_itl_seconds",
    request,
    [0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1, 2],
  ),

  gauge("ready_endpoints", ["name"]),
  gauge("average_kv_cache_utilization", ["name"]),
  gauge("average_queue_size", ["name"]),
  gauge("average_running_requests", ["name"]),
  gauge("std_dev_kv_cache_utilization", ["name"]),
  gauge("std_dev_queue_size", ["name"]),
  gauge("std_dev_running_requests", ["name"]),
  // `namespace` is beyond the specification: two endpoints of one name are told apart.
  gauge("per_endpoint_queue_size", ["name", "model_server_endpoint", "namespace"]),
  histogram("scheduler_e2e_duration_seconds", [], fast),
  counter("scheduler_attempts_total", ["status", "target_model_name", "endpoint_name", "namespace", "port"]),
  histogram("plugin_duration_seconds", point, fast),
  { ...counter("plugin_data_scope_violations_total", [...point, "access"]), seen: "declared" },
  histogram(
    "request_processing_duration_seconds",
    [],
    [0.0005, 0.001, 0.002, 0.005, 0.01, 0.015, 0.025, 0.04, 0.06, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
  ),
  histogram(
    "response_processing_duration_seconds",
    [],
    [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5],
  ),
  gauge("info", ["commit", "build_ref"]),
  counter("model_rewrite_decisions_total", ["model_rewrite_name", "model_name", "target_model"]),
  counter("datalayer_poll_errors_total", ["source_type"]),
  counter("datalayer_extract_errors_total", ["source_type", "extractor_type"]),

  gauge("flow_control_stale_endpoints", ["detector"]),

  gauge("extproc_streams_inflight", []),
  histogram(
    "extproc_stream_duration_seconds",
    [],
    [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 120, 300, 600],
  ),
  counter("extproc_streams_total", ["code"]),

  gauge("inflight_requests", ["endpoint_name", "namespace", "producer_name", "fairness_id", "priority"]),
  gauge("inflight_tokens", ["endpoint_name", "namespace", "producer_name", "fairness_id", "priority"]),
  gauge("prefix_indexer_size", plugin),
  histogram("prefix_indexer_hit_ratio", plugin, ratio),
  histogram("prefix_indexer_hit_bytes", plugin, [0, ...doubling(16, 13)]),
  counter("encoder_cache_queries_total", [...plugin, "modality"]),
  counter("encoder_cache_hits_total", [...plugin, "modality", "pod"]),
  histogram("encoder_cache_hit_ratio", plugin, ratio),
  counter("disagg_decision_total", [...plugin, "model_name", "decision_type"]),
  counter("pd_decision_total", [...plugin, "model_name", "decision_type"]),
  counter("disaggregatedset_strict_header_no_match_total", [...plugin, "selector"]),
  gauge("disaggregatedset_revision_gating_share", [...plugin, "mode", "revision"]),

  gauge("inference_request_metric", [...plugin, ...models, "type"]),
  histogram("request_predicted_ttft_seconds", [...plugin, ...models], latency),
  histogram(
    "request_predicted_tpot_seconds",
    [...plugin, ...models],
    [...tpot, 1.5, 2, 3, 4.5, 6, 12, 18, 24, 30, 36, 48, 60, 90, 120, 180, 270, 360],
  ),
  histogram("request_ttft_prediction_duration_seconds", [...plugin, ...models], predict),
  histogram("request_tpot_prediction_duration_seconds", [...plugin, ...models], predict),
  counter("request_slo_violation_total", [...plugin, ...models, "type"]),
];

const noFlowControl = "flow control is not part of this version";
const noPrefixEvents = "the index of KV events is not part of this version";

/** Series of the specification that are absent, each with the reason; the test holds that they are. */
export const absentMetrics: ReadonlyMap<string, string> = new Map([
  ...[
    "flow_control_request_queue_duration_seconds",
    "flow_control_request_enqueue_duration_seconds",
    "flow_control_dispatch_cycle_duration_seconds",
    "flow_control_queue_size",
    "flow_control_queue_bytes",
    "flow_control_pool_saturation",
    "flow_control_capacity_utilization_requests",
    "flow_control_capacity_utilization_bytes",
    "flow_control_global_capacity_utilization_requests",
    "flow_control_global_capacity_utilization_bytes",
    "flow_control_requests_total",
    "flow_control_revocations_issued_total",
    "flow_control_revocations_total",
    "flow_control_reclaim_target",
    "flow_control_pending_reclaim",
    "flow_control_revocation_confirmation_seconds",
    "program_aware_jains_fairness_index",
    "program_aware_avg_wait_time_milliseconds",
    "program_aware_attained_service_tokens",
  ].map((name) => [name, noFlowControl] as const),
  ...[
    "kv_cache_index_admissions_total",
    "kv_cache_index_evictions_total",
    "kv_cache_index_lookup_requests_total",
    "kv_cache_index_lookup_hits_total",
    "kv_cache_index_max_pod_hit_count_total",
    "kv_cache_index_lookup_latency_seconds",
    "kv_cache_events_dedup_removed_hashes_suppressed_total",
    "kv_cache_events_dedup_removed_hashes_forwarded_total",
    "kv_cache_events_stores_skipped_total",
    "kv_cache_events_removals_skipped_total",
    "kv_cache_events_active_subscribers",
    "kv_cache_events_subscriber_reconnections_total",
    "kv_cache_events_messages_received_total",
    "kv_cache_events_zmq_errors_total",
    "kv_cache_events_pool_queue_depth",
    "kv_cache_events_pool_capacity",
  ].map((name) => [name, noPrefixEvents] as const),
]);

/** Series beyond the specification, on every page of the test's configurations. */
export const ownMetrics: ReadonlySet<string> = new Set([
  "known_endpoints",
  "config_info",
  "config_reloads_total",
  "plugin_failures_total",
  "http2_violations_total",
  "response_let_go_total",
]);

/** Names of earlier releases with their labels, each with the row whose values it shows. */
export const deprecatedRows: readonly (readonly [name: string, of: string, labels: readonly string[]])[] = [
  ["inference_objective_request_total", "request_total", [...models, "priority"]],
  ["inference_objective_request_error_total", "request_error_total", [...models, "error_code"]],
  ["inference_objective_request_sizes", "request_size_bytes", models],
  ["inference_objective_running_requests", "request_running", ["model_name"]],
  ["inference_objective_request_duration_seconds", "request_duration_seconds", models],
  ["inference_objective_response_sizes", "response_size_bytes", models],
  ["inference_objective_input_tokens", "request_input_tokens", models],
  ["inference_objective_output_tokens", "request_output_tokens", models],
  ["inference_objective_prompt_cached_tokens", "request_cached_tokens", models],
  ["inference_objective_normalized_time_per_output_token_seconds", "request_ntpot_seconds", models],
  ["inference_objective_request_ttft_seconds", "request_ttft_seconds", models],
  ["inference_objective_request_tpot_seconds", "request_streaming_tpot_seconds", models],
  ["inference_objective_inference_request_metric", "inference_request_metric", [...models, "type"]],
  ["inference_objective_request_predicted_ttft_seconds", "request_predicted_ttft_seconds", models],
  ["inference_objective_request_predicted_tpot_seconds", "request_predicted_tpot_seconds", models],
  ["inference_objective_request_ttft_prediction_duration_seconds", "request_ttft_prediction_duration_seconds", models],
  ["inference_objective_request_tpot_prediction_duration_seconds", "request_tpot_prediction_duration_seconds", models],
  ["inference_objective_request_slo_violation_total", "request_slo_violation_total", [...models, "type"]],
  ["inference_pool_ready_pods", "ready_endpoints", ["name"]],
  ["inference_pool_average_kv_cache_utilization", "average_kv_cache_utilization", ["name"]],
  ["inference_pool_average_queue_size", "average_queue_size", ["name"]],
  ["inference_pool_average_running_requests", "average_running_requests", ["name"]],
  ["inference_pool_per_pod_queue_size", "per_endpoint_queue_size", ["name", "model_server_pod"]],
  ["inference_extension_scheduler_e2e_duration_seconds", "scheduler_e2e_duration_seconds", []],
  [
    "inference_extension_scheduler_attempts_total",
    "scheduler_attempts_total",
    ["status", "target_model_name", "pod_name", "namespace", "port"],
  ],
  ["inference_extension_plugin_duration_seconds", "plugin_duration_seconds", point],
  ["inference_extension_info", "info", ["commit", "build_ref"]],
  [
    "inference_extension_model_rewrite_decisions_total",
    "model_rewrite_decisions_total",
    ["model_rewrite_name", "model_name", "target_model"],
  ],
  ["inference_extension_prefix_indexer_size", "prefix_indexer_size", []],
  ["inference_extension_prefix_indexer_hit_ratio", "prefix_indexer_hit_ratio", []],
  ["inference_extension_prefix_indexer_hit_bytes", "prefix_indexer_hit_bytes", []],
  ["llm_d_inference_scheduler_datalayer_poll_errors_total", "datalayer_poll_errors_total", ["source_type"]],
  [
    "llm_d_inference_scheduler_datalayer_extract_errors_total",
    "datalayer_extract_errors_total",
    ["source_type", "extractor_type"],
  ],
  ["llm_d_inference_scheduler_disagg_decision_total", "disagg_decision_total", ["model_name", "decision_type"]],
  ["llm_d_inference_scheduler_pd_decision_total", "pd_decision_total", ["model_name", "decision_type"]],
];
