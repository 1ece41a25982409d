import { EppBug } from "@pointsman/core";
import { MetricSpec, parseMetricSpec } from "@pointsman/core/prometheus";
import type { EngineConfig } from "./params.ts";

function spec(text: string): MetricSpec {
  const parsed = parseMetricSpec(text);
  if (parsed instanceof MetricSpec) return parsed;
  throw new EppBug(`built-in metric spec ${JSON.stringify(text)} is invalid`);
}

const cacheLabels = { cacheBlockSizeLabel: "block_size", cacheNumBlocksLabel: "num_gpu_blocks" };

/** The engines known without configuration. */
export const builtInEngines: readonly EngineConfig[] = [
  {
    name: "vllm",
    queuedRequests: spec("vllm:num_requests_waiting"),
    runningRequests: spec("vllm:num_requests_running"),
    kvUsage: spec("vllm:kv_cache_usage_perc"),
    lora: spec("vllm:lora_requests_info"),
    cacheInfo: spec("vllm:cache_config_info"),
    ...cacheLabels,
    customMetrics: [],
  },
  {
    name: "sglang",
    queuedRequests: spec("sglang:num_queue_reqs"),
    runningRequests: spec("sglang:num_running_reqs"),
    kvUsage: spec("sglang:token_usage"),
    cacheInfo: spec("sglang:cache_config_info"),
    cacheBlockSizeLabel: "page_size",
    cacheNumBlocksLabel: "num_pages",
    customMetrics: [],
  },
  {
    name: "trtllm-serve",
    queuedRequests: spec("trtllm_num_requests_waiting"),
    runningRequests: spec("trtllm_num_requests_running"),
    kvUsage: spec("trtllm_kv_cache_utilization"),
    cacheBlockSize: spec("trtllm_kv_cache_tokens_per_block"),
    cacheNumBlocks: spec("trtllm_kv_cache_max_blocks"),
    ...cacheLabels,
    customMetrics: [],
  },
  {
    name: "triton-tensorrt-llm",
    queuedRequests: spec("nv_trt_llm_request_metrics{request_type=waiting}"),
    runningRequests: spec("nv_trt_llm_request_metrics{request_type=scheduled}"),
    kvUsage: spec("nv_trt_llm_kv_cache_block_metrics{kv_cache_block_type=fraction}"),
    cacheBlockSize: spec("nv_trt_llm_kv_cache_block_metrics{kv_cache_block_type=tokens_per}"),
    cacheNumBlocks: spec("nv_trt_llm_kv_cache_block_metrics{kv_cache_block_type=max}"),
    ...cacheLabels,
    customMetrics: [],
  },
  {
    // Triton states no gauge of running requests: nv_inference_exec_count only grows.
    name: "triton",
    queuedRequests: spec("nv_inference_pending_request_count"),
    ...cacheLabels,
    customMetrics: [],
  },
];
