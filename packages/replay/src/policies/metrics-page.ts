import type { SimulatedEngine } from "../engine/simulated-engine.ts";

const utf8 = new TextEncoder();

/**
 * A server's metrics page: the series that schedulers read, under the names that vLLM, SGLang, TensorRT-LLM and Triton
 * give them, so that a configuration finds those of the engine it is made for.
 */
export function metricsPage({ gauges, model }: SimulatedEngine, modelName: string): Uint8Array {
  const { running, waiting, kvUsage } = gauges;
  const { blockTokens, kvBlocks } = model;
  const labels = `{engine="0",model_name="${modelName}"}`;
  const vllm =
    gauge("vllm:num_requests_running", [labels, running]) +
    gauge("vllm:num_requests_waiting", [labels, waiting]) +
    gauge("vllm:kv_cache_usage_perc", [labels, kvUsage]) +
    gauge("vllm:cache_config_info", [`{block_size="${blockTokens}",engine="0",num_gpu_blocks="${kvBlocks}"}`, 1]);
  const sglang =
    gauge("sglang:num_running_reqs", [labels, running]) +
    gauge("sglang:num_queue_reqs", [labels, waiting]) +
    gauge("sglang:token_usage", [labels, kvUsage]) +
    gauge("sglang:cache_config_info", [`{page_size="${blockTokens}",num_pages="${kvBlocks}"}`, 1]);
  const tensorRt =
    gauge("trtllm_num_requests_running", ["", running]) +
    gauge("trtllm_num_requests_waiting", ["", waiting]) +
    gauge("trtllm_kv_cache_utilization", ["", kvUsage]) +
    gauge("trtllm_kv_cache_tokens_per_block", ["", blockTokens]) +
    gauge("trtllm_kv_cache_max_blocks", ["", kvBlocks]);
  const triton =
    gauge(
      "nv_trt_llm_request_metrics",
      ['{request_type="waiting"}', waiting],
      ['{request_type="scheduled"}', running],
    ) +
    gauge(
      "nv_trt_llm_kv_cache_block_metrics",
      ['{kv_cache_block_type="fraction"}', kvUsage],
      ['{kv_cache_block_type="tokens_per"}', blockTokens],
      ['{kv_cache_block_type="max"}', kvBlocks],
    ) +
    gauge("nv_inference_pending_request_count", ["", waiting]);
  return utf8.encode(vllm + sglang + tensorRt + triton);
}

function gauge(name: string, ...series: readonly (readonly [labels: string, value: number])[]): string {
  let text = `# TYPE ${name} gauge\n`;
  for (const [labels, value] of series) text += `${name}${labels} ${value}\n`;
  return text;
}
