/** What the generated page states, so that a caller can check what a reader found. */
export interface VllmPage {
  readonly bytes: Uint8Array;
  readonly lines: number;
  readonly waiting: number;
  readonly running: number;
  readonly kvCacheUsage: number;
}

export interface VllmPageShape {
  readonly seed: number;
  readonly engines: number;
}

/** A seeded generator of numbers from 0 (included) to 1 (excluded). */
function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

const SECONDS = [0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80, 160];
const LATENCY = [0.3, 0.5, 0.8, 1, 1.5, 2, 2.5, 5, 10, 15, 20, 30, 40, 50, 60, 120, 240, 480, 960, 1920];
const TOKENS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000, 50000];
const STEP_TOKENS = [1, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384];

const HISTOGRAMS: readonly (readonly [name: string, bounds: readonly number[], help: string])[] = [
  ["vllm:iteration_tokens_total", STEP_TOKENS, "Histogram of number of tokens per engine_step."],
  ["vllm:request_prompt_tokens", TOKENS, "Number of prefill tokens processed."],
  ["vllm:request_generation_tokens", TOKENS, "Number of generation tokens processed."],
  ["vllm:time_to_first_token_seconds", SECONDS, "Histogram of time to first token in seconds."],
  ["vllm:inter_token_latency_seconds", SECONDS, "Histogram of inter-token latency in seconds."],
  ["vllm:e2e_request_latency_seconds", LATENCY, "Histogram of e2e request latency in seconds."],
  ["vllm:request_queue_time_seconds", LATENCY, "Histogram of time spent in WAITING phase for request."],
  ["vllm:request_inference_time_seconds", LATENCY, "Histogram of time spent in RUNNING phase for request."],
  ["vllm:request_prefill_time_seconds", LATENCY, "Histogram of time spent in PREFILL phase for request."],
  ["vllm:request_decode_time_seconds", LATENCY, "Histogram of time spent in DECODE phase for request."],
];

/** Writes numbers the way Python's Prometheus client does: "3.0", "0.25", "1.5e+07". */
function pythonFloat(value: number): string {
  if (Number.isInteger(value)) return value >= 1e7 ? value.toExponential().replace("e+7", "e+07") : `${value}.0`;
  return String(value);
}

/**
 * Writes a `/metrics` page with the families, labels, and line order of a vLLM server under load: process figures,
 * gauges, counters, histograms and the cache configuration. With one engine: about 32 KB and 300 lines.
 */
export function vllmPage(shape: VllmPageShape): VllmPage {
  const random = seededRandom(shape.seed);
  const count = (below: number): number => Math.floor(random() * below);
  const out: string[] = [];
  const head = (name: string, type: string, help: string): void => {
    out.push(`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`);
  };
  const engines = Array.from({ length: shape.engines }, (_, index) => index);
  const labels = (engine: number, more = ""): string =>
    `engine="${engine}",${more}model_name="meta-llama/Llama-3.1-8B-Instruct"`;
  let waiting = 0;
  let running = 0;
  let kvCacheUsage = 0;

  for (const generation of [0, 1, 2]) {
    if (generation === 0) head("python_gc_objects_collected_total", "counter", "Objects collected during gc");
    out.push(`python_gc_objects_collected_total{generation="${generation}"} ${pythonFloat(count(20000))}`);
  }
  head("python_info", "gauge", "Python platform information");
  out.push('python_info{implementation="CPython",major="3",minor="12",patchlevel="11",version="3.12.11"} 1.0');
  for (const [name, type, value] of [
    ["process_virtual_memory_bytes", "gauge", "1.5728640000e+10"],
    ["process_resident_memory_bytes", "gauge", "2.41664e+09"],
    ["process_start_time_seconds", "gauge", "1.75429056103e+09"],
    ["process_cpu_seconds_total", "counter", "1843.97"],
    ["process_open_fds", "gauge", "98.0"],
  ] as const) {
    head(name, type, `Figure of the serving process: ${name}.`);
    out.push(`${name} ${value}`);
  }

  head("vllm:num_requests_running", "gauge", "Number of requests in model execution batches.");
  for (const engine of engines) {
    const value = count(64);
    running += value;
    out.push(`vllm:num_requests_running{${labels(engine)}} ${pythonFloat(value)}`);
  }
  head("vllm:num_requests_waiting", "gauge", "Number of requests waiting to be processed.");
  for (const engine of engines) {
    const value = count(32);
    waiting += value;
    out.push(`vllm:num_requests_waiting{${labels(engine)}} ${pythonFloat(value)}`);
  }
  head("vllm:kv_cache_usage_perc", "gauge", "KV-cache usage. 1 means 100 percent usage.");
  for (const engine of engines) {
    const value = random();
    kvCacheUsage += value;
    out.push(`vllm:kv_cache_usage_perc{${labels(engine)}} ${value}`);
  }
  for (const name of [
    "prefix_cache_queries",
    "prefix_cache_hits",
    "num_preemptions",
    "prompt_tokens",
    "generation_tokens",
  ]) {
    const family = `vllm:${name}`;
    head(`${family}_total`, "counter", `Cumulative count of ${name}.`);
    for (const engine of engines) out.push(`${family}_total{${labels(engine)}} ${pythonFloat(count(30_000_000))}`);
    head(`${family}_created`, "gauge", `Cumulative count of ${name}.`);
    for (const engine of engines) out.push(`${family}_created{${labels(engine)}} 1.7542905762388e+09`);
  }
  head("vllm:request_success_total", "counter", "Count of successfully processed requests.");
  for (const engine of engines) {
    for (const reason of ["stop", "length", "abort", "error"]) {
      out.push(
        `vllm:request_success_total{${labels(engine, `finished_reason="${reason}",`)}} ${pythonFloat(count(90000))}`,
      );
    }
  }
  for (const [name, bounds, help] of HISTOGRAMS) {
    head(name, "histogram", help);
    for (const engine of engines) {
      let total = 0;
      for (const bound of [...bounds.map(pythonFloat), "+Inf"]) {
        total += count(4000);
        out.push(`${name}_bucket{${labels(engine, `le="${bound}",`)}} ${pythonFloat(total)}`);
      }
      out.push(`${name}_count{${labels(engine)}} ${pythonFloat(total)}`);
      out.push(`${name}_sum{${labels(engine)}} ${total * random()}`);
    }
    head(`${name}_created`, "gauge", help);
    for (const engine of engines) out.push(`${name}_created{${labels(engine)}} 1.7542905762391e+09`);
  }
  head("vllm:lora_requests_info", "gauge", "Running stats on lora requests.");
  out.push(
    'vllm:lora_requests_info{max_lora="4",running_lora_adapters="sql-assist,tone-b",waiting_lora_adapters=""} 1.75429191e+09',
  );
  head("vllm:cache_config_info", "gauge", "Information of the LLMEngine CacheConfig");
  for (const engine of engines) {
    out.push(
      `vllm:cache_config_info{block_size="16",cache_dtype="auto",calculate_kv_scales="False",cpu_offload_gb="0",enable_prefix_caching="True",engine="${engine}",gpu_memory_utilization="0.9",is_attention_free="False",kv_sharing_fast_prefill="False",mamba_cache_dtype="auto",num_cpu_blocks="None",num_gpu_blocks="27872",num_gpu_blocks_override="None",prefix_caching_hash_algo="builtin",sliding_window="None",swap_space="4",swap_space_bytes="4294967296"} 1.0`,
    );
  }
  head("http_requests_total", "counter", "Total number of requests by method, status and handler.");
  for (const handler of ["/v1/chat/completions", "/v1/completions", "/v1/models", "/metrics"]) {
    out.push(`http_requests_total{handler="${handler}",method="POST",status="2xx"} ${pythonFloat(count(90000))}`);
  }
  return {
    bytes: Buffer.from(`${out.join("\n")}\n`),
    lines: out.length,
    waiting,
    running,
    kvCacheUsage: kvCacheUsage / shape.engines,
  };
}
