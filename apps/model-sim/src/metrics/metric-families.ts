import type { EngineMetrics } from "./engine-metrics.ts";
import { histogram, type Labels, type Part, scalar, series } from "./page-writer.ts";

export const engineNames = ["vllm", "sglang", "trtllm-serve"] as const;
export type EngineName = (typeof engineNames)[number];

/** What a page tells apart from counts and gauges. */
export interface ServerFacts {
  readonly model: string;
  readonly blockTokens: number;
  readonly kvBlocks: number;
  readonly maxRunningRequests: number;
  /** 0 when the server serves no adapters. */
  readonly maxResidentAdapters: number;
}

/** The parts of the page of an engine, under the names and labels that engine uses. */
export function metricFamilies(engine: EngineName, metrics: EngineMetrics, facts: ServerFacts): Part[] {
  switch (engine) {
    case "vllm":
      return vllmFamilies(metrics, facts);
    case "sglang":
      return sglangFamilies(metrics, facts);
    case "trtllm-serve":
      return trtllmFamilies(metrics, facts);
  }
}

function vllmFamilies(m: EngineMetrics, facts: ServerFacts): Part[] {
  const labels: Labels = { engine: "0", model_name: facts.model };
  const cacheLabels: Labels = {
    block_size: `${facts.blockTokens}`,
    cache_dtype: "auto",
    enable_prefix_caching: "True",
    engine: "0",
    gpu_memory_utilization: "0.9",
    num_cpu_blocks: "None",
    num_gpu_blocks: `${facts.kvBlocks}`,
    num_gpu_blocks_override: "None",
    prefix_caching_hash_algo: "builtin",
    sliding_window: "None",
  };
  const reasons = (["stop", "length", "abort"] as const).map(
    (reason) => [reason, { ...labels, finished_reason: reason }] as const,
  );
  const parts = [
    scalar(
      "gauge",
      "vllm:num_requests_running",
      "Requests in the running batch.",
      labels,
      () => m.gauges.runningRequests,
    ),
    scalar("gauge", "vllm:num_requests_waiting", "Requests waiting to run.", labels, () => m.gauges.waitingRequests),
    scalar(
      "gauge",
      "vllm:kv_cache_usage_perc",
      "Share of KV-cache blocks in use; 1 is all.",
      labels,
      () => m.gauges.kvUsage,
    ),
    scalar(
      "counter",
      "vllm:prefix_cache_queries_total",
      "Prompt tokens looked up in the prefix cache.",
      labels,
      () => m.cacheQueryTokens,
    ),
    scalar(
      "counter",
      "vllm:prefix_cache_hits_total",
      "Prompt tokens found in the prefix cache.",
      labels,
      () => m.cacheHitTokens,
    ),
    scalar("counter", "vllm:num_preemptions_total", "Requests preempted by the engine.", labels, () => 0),
    scalar("counter", "vllm:prompt_tokens_total", "Prompt tokens processed.", labels, () => m.promptTokens),
    scalar("counter", "vllm:generation_tokens_total", "Tokens generated.", labels, () => m.generatedTokens),
    series("counter", "vllm:request_success_total", "Requests ended, by reason.", () =>
      reasons.map(([reason, reasonLabels]) => [reasonLabels, m.finished[reason]]),
    ),
    histogram("vllm:request_prompt_tokens", "Prompt tokens per request.", labels, m.requestPromptTokens),
    histogram("vllm:request_generation_tokens", "Generated tokens per request.", labels, m.requestGeneratedTokens),
    histogram("vllm:iteration_tokens_total", "Tokens per engine step.", labels, m.stepTokens),
    histogram("vllm:request_params_max_tokens", "Answer tokens asked for per request.", labels, m.requestMaxTokens),
    histogram("vllm:time_to_first_token_seconds", "Time to the first token.", labels, m.firstTokenSeconds),
    histogram("vllm:inter_token_latency_seconds", "Time between two tokens.", labels, m.tokenGapSeconds),
    histogram("vllm:time_per_output_token_seconds", "Time between two tokens.", labels, m.tokenGapSeconds),
    histogram(
      "vllm:request_time_per_output_token_seconds",
      "Mean time per token after the first, per request.",
      labels,
      m.secondsPerToken,
    ),
    histogram("vllm:e2e_request_latency_seconds", "Time from arrival to end.", labels, m.requestSeconds),
    histogram("vllm:request_queue_time_seconds", "Time spent waiting.", labels, m.queueSeconds),
    histogram("vllm:request_inference_time_seconds", "Time spent running.", labels, m.runSeconds),
    histogram("vllm:request_prefill_time_seconds", "Time from start to first token.", labels, m.prefillSeconds),
    histogram("vllm:request_decode_time_seconds", "Time from first to last token.", labels, m.decodeSeconds),
  ];
  if (facts.maxResidentAdapters > 0) {
    parts.push(
      series(
        "gauge",
        "vllm:lora_requests_info",
        "Adapters with running and waiting requests; the value is a time.",
        () =>
          Array.from(m.adapterSamples.values(), (sample) => [
            {
              max_lora: `${facts.maxResidentAdapters}`,
              running_lora_adapters: sample.runningAdapters,
              waiting_lora_adapters: sample.waitingAdapters,
            },
            sample.unixSeconds,
          ]),
      ),
    );
  }
  parts.push(scalar("gauge", "vllm:cache_config_info", "Configuration of the KV cache.", cacheLabels, () => 1));
  return parts;
}

function sglangFamilies(m: EngineMetrics, facts: ServerFacts): Part[] {
  const labels: Labels = { engine_type: "unified", model_name: facts.model, pp_rank: "0", tp_rank: "0" };
  const totalTokens = facts.kvBlocks * facts.blockTokens;
  return [
    scalar("gauge", "sglang:num_running_reqs", "Requests running.", labels, () => m.gauges.runningRequests),
    scalar("gauge", "sglang:num_queue_reqs", "Requests in the waiting queue.", labels, () => m.gauges.waitingRequests),
    scalar("gauge", "sglang:token_usage", "Share of KV-cache tokens in use; 1 is all.", labels, () => m.gauges.kvUsage),
    scalar("gauge", "sglang:num_used_tokens", "KV-cache tokens in use.", labels, () =>
      Math.round(m.gauges.kvUsage * totalTokens),
    ),
    scalar("gauge", "sglang:max_total_num_tokens", "KV-cache tokens in all.", labels, () => totalTokens),
    scalar("gauge", "sglang:cache_hit_rate", "Share of prompt tokens found in the prefix cache.", labels, () =>
      hitRate(m),
    ),
    scalar(
      "gauge",
      "sglang:cache_config_info",
      "Configuration of the KV cache.",
      {
        ...labels,
        num_pages: `${facts.kvBlocks}`,
        page_size: `${facts.blockTokens}`,
      },
      () => 1,
    ),
    scalar("counter", "sglang:prompt_tokens_total", "Prompt tokens processed.", labels, () => m.promptTokens),
    scalar("counter", "sglang:generation_tokens_total", "Tokens generated.", labels, () => m.generatedTokens),
    scalar(
      "counter",
      "sglang:cached_tokens_total",
      "Prompt tokens found in the prefix cache.",
      labels,
      () => m.cacheHitTokens,
    ),
    scalar(
      "counter",
      "sglang:num_requests_total",
      "Requests ended.",
      labels,
      () => m.finished.stop + m.finished.length,
    ),
    scalar("counter", "sglang:num_aborted_requests_total", "Requests aborted.", labels, () => m.finished.abort),
    histogram("sglang:time_to_first_token_seconds", "Time to the first token.", labels, m.firstTokenSeconds),
    histogram("sglang:inter_token_latency_seconds", "Time between two tokens.", labels, m.tokenGapSeconds),
    histogram("sglang:e2e_request_latency_seconds", "Time from arrival to end.", labels, m.requestSeconds),
    histogram("sglang:queue_time_seconds", "Time spent waiting.", labels, m.queueSeconds),
  ];
}

function trtllmFamilies(m: EngineMetrics, facts: ServerFacts): Part[] {
  const labels: Labels = { engine_type: "trtllm", model_name: facts.model };
  const reasons = (["stop", "length"] as const).map(
    (reason) => [reason, { ...labels, finished_reason: reason }] as const,
  );
  const usedBlocks = () => Math.round(m.gauges.kvUsage * facts.kvBlocks);
  return [
    scalar("gauge", "trtllm_num_requests_running", "Requests running.", labels, () => m.gauges.runningRequests),
    scalar("gauge", "trtllm_num_requests_waiting", "Requests waiting.", labels, () => m.gauges.waitingRequests),
    scalar(
      "gauge",
      "trtllm_kv_cache_utilization",
      "Share of KV-cache blocks in use; 1 is all.",
      labels,
      () => m.gauges.kvUsage,
    ),
    scalar("gauge", "trtllm_kv_cache_hit_rate", "Share of prompt tokens found in the KV cache.", labels, () =>
      hitRate(m),
    ),
    scalar("gauge", "trtllm_kv_cache_tokens_per_block", "Tokens per KV-cache block.", labels, () => facts.blockTokens),
    scalar("gauge", "trtllm_kv_cache_max_blocks", "KV-cache blocks in all.", labels, () => facts.kvBlocks),
    scalar("gauge", "trtllm_kv_cache_used_blocks", "KV-cache blocks in use.", labels, usedBlocks),
    scalar(
      "gauge",
      "trtllm_kv_cache_free_blocks",
      "KV-cache blocks not in use.",
      labels,
      () => facts.kvBlocks - usedBlocks(),
    ),
    scalar(
      "gauge",
      "trtllm_max_num_active_requests",
      "Requests that can run at the same time.",
      labels,
      () => facts.maxRunningRequests,
    ),
    scalar("counter", "trtllm_prompt_tokens_total", "Prompt tokens processed.", labels, () => m.promptTokens),
    scalar("counter", "trtllm_generation_tokens_total", "Tokens generated.", labels, () => m.generatedTokens),
    series("counter", "trtllm_request_success_total", "Requests ended, by reason.", () =>
      reasons.map(([reason, reasonLabels]) => [reasonLabels, m.finished[reason]]),
    ),
    histogram("trtllm_time_to_first_token_seconds", "Time to the first token.", labels, m.firstTokenSeconds),
    histogram(
      "trtllm_time_per_output_token_seconds",
      "Mean time per token after the first, per request.",
      labels,
      m.secondsPerToken,
    ),
    histogram("trtllm_e2e_request_latency_seconds", "Time from arrival to end.", labels, m.requestSeconds),
    histogram("trtllm_request_queue_time_seconds", "Time spent waiting.", labels, m.queueSeconds),
  ];
}

function hitRate(m: EngineMetrics): number {
  return m.cacheQueryTokens === 0 ? 0 : m.cacheHitTokens / m.cacheQueryTokens;
}
