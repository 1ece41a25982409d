import type { MetricAlias } from "./alias-metric.ts";

const models = ["model_name", "target_model_name"];
const objective = (name: string, of: string, labels: readonly string[] = models): MetricAlias => ({
  name: `inference_objective_${name}`,
  of: `llm_d_epp_${of}`,
  labels,
});
const same =
  (prefix: string) =>
  (name: string, ...labels: readonly string[]): MetricAlias => ({
    name: `${prefix}_${name}`,
    of: `llm_d_epp_${name}`,
    labels,
  });
const extension = same("inference_extension");
const pool = same("inference_pool");
const scheduler = same("llm_d_inference_scheduler");
const flowLabels = ["fairness_id", "priority"];
const latencyPlugin = "llm_d_epp_inference_request_metric";
const kvIndex = (name: string): MetricAlias => ({
  name: `kvcache_index_${name}`,
  of: `llm_d_epp_kv_cache_index_${name}`,
  labels: [],
});
const kvEvents = (name: string): MetricAlias => ({
  name: `kvcache_kvevents_${name}`,
  of: `llm_d_epp_kv_cache_events_${name}`,
  labels: [],
});

/** Names under which earlier releases of llm-d Router publish metrics, with their labels. Source: spec metrics section 12. */
export const deprecatedNames: readonly MetricAlias[] = [
  objective("request_total", "request_total", [...models, "priority"]),
  objective("request_error_total", "request_error_total", [...models, "error_code"]),
  objective("request_sizes", "request_size_bytes"),
  objective("running_requests", "request_running", ["model_name"]),
  objective("request_duration_seconds", "request_duration_seconds"),
  objective("response_sizes", "response_size_bytes"),
  objective("input_tokens", "request_input_tokens"),
  objective("output_tokens", "request_output_tokens"),
  objective("prompt_cached_tokens", "request_cached_tokens"),
  objective("normalized_time_per_output_token_seconds", "request_ntpot_seconds"),
  { ...objective("request_ttft_seconds", "request_ttft_seconds"), onlyWith: latencyPlugin },
  { ...objective("request_tpot_seconds", "request_streaming_tpot_seconds"), onlyWith: latencyPlugin },
  objective("inference_request_metric", "inference_request_metric", [...models, "type"]),
  objective("request_predicted_ttft_seconds", "request_predicted_ttft_seconds"),
  objective("request_predicted_tpot_seconds", "request_predicted_tpot_seconds"),
  objective("request_ttft_prediction_duration_seconds", "request_ttft_prediction_duration_seconds"),
  objective("request_tpot_prediction_duration_seconds", "request_tpot_prediction_duration_seconds"),
  objective("request_slo_violation_total", "request_slo_violation_total", [...models, "type"]),
  { name: "inference_pool_ready_pods", of: "llm_d_epp_ready_endpoints", labels: ["name"] },
  pool("average_kv_cache_utilization", "name"),
  pool("average_queue_size", "name"),
  pool("average_running_requests", "name"),
  {
    name: "inference_pool_per_pod_queue_size",
    of: "llm_d_epp_per_endpoint_queue_size",
    labels: ["name", "model_server_pod=model_server_endpoint"],
  },
  extension("scheduler_e2e_duration_seconds"),
  extension(
    "scheduler_attempts_total",
    ...["status", "target_model_name", "pod_name=endpoint_name", "namespace", "port"],
  ),
  extension("plugin_duration_seconds", "extension_point", "plugin_type", "plugin_name"),
  extension("info", "commit", "build_ref"),
  extension("model_rewrite_decisions_total", "model_rewrite_name", "model_name", "target_model"),
  extension("prefix_indexer_size"),
  extension("prefix_indexer_hit_ratio"),
  extension("prefix_indexer_hit_bytes"),
  extension("flow_control_request_queue_duration_seconds", ...flowLabels, "outcome", "inference_pool", ...models),
  extension("flow_control_request_enqueue_duration_seconds", ...flowLabels, "outcome"),
  extension("flow_control_dispatch_cycle_duration_seconds"),
  extension("flow_control_queue_size", ...flowLabels, "inference_pool", ...models),
  extension("flow_control_queue_bytes", ...flowLabels, "inference_pool", ...models),
  extension("flow_control_pool_saturation", "inference_pool", "stage"),
  scheduler("datalayer_poll_errors_total", "source_type"),
  scheduler("datalayer_extract_errors_total", "source_type", "extractor_type"),
  scheduler("disagg_decision_total", "model_name", "decision_type"),
  scheduler("pd_decision_total", "model_name", "decision_type"),
  kvIndex("admissions_total"),
  kvIndex("evictions_total"),
  kvIndex("lookup_requests_total"),
  kvIndex("lookup_hits_total"),
  kvIndex("max_pod_hit_count_total"),
  kvIndex("lookup_latency_seconds"),
  kvEvents("dedup_removed_hashes_suppressed_total"),
  kvEvents("dedup_removed_hashes_forwarded_total"),
];
