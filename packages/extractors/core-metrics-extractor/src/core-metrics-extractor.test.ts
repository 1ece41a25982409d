import {
  ACTIVE_MODELS,
  type AttributeKey,
  CACHE_BLOCK_SIZE,
  CACHE_NUM_BLOCKS,
  customMetric,
  type Endpoint,
  KV_CACHE_USAGE,
  type Logger,
  MAX_ACTIVE_MODELS,
  type PollingExtractor,
  RUNNING_REQUESTS_SIZE,
  silentLogger,
  WAITING_MODELS,
  WAITING_QUEUE_SIZE,
} from "@pointsman/core";
import { buildEndpoint, buildPlugin, pluginContract } from "@pointsman/testkit";
import { expect, test } from "vitest";
import plugin from "./index.ts";

const customParams = {
  engineConfigs: [{ name: "own", customMetrics: [{ attributeKey: "Temperature", metricSpec: "gpu_temperature" }] }],
};
pluginContract(plugin, { testFile: import.meta.url });
pluginContract(plugin, { testFile: import.meta.url, params: customParams });

function build(params: object = {}): { extractor: PollingExtractor; warnings: object[] } {
  const warnings: object[] = [];
  const logger: Logger = { ...silentLogger, warn: (fields) => warnings.push(fields) };
  const { instance } = buildPlugin(plugin, { params, logger });
  // The contract above has checked the role.
  return { extractor: instance as PollingExtractor, warnings };
}

const page = (...lines: readonly string[]): Buffer => Buffer.from(lines.map((line) => `${line}\n`).join(""));
const read = <T>(endpoint: Endpoint, key: AttributeKey<T>): unknown => endpoint.values[key.index];

const vllm = [
  "# TYPE vllm:num_requests_waiting gauge",
  'vllm:num_requests_waiting{engine="0",model_name="m"} 3.0',
  "# TYPE vllm:num_requests_running gauge",
  'vllm:num_requests_running{engine="0",model_name="m"} 5.0',
  "# TYPE vllm:kv_cache_usage_perc gauge",
  'vllm:kv_cache_usage_perc{engine="0",model_name="m"} 0.25',
  "# TYPE vllm:lora_requests_info gauge",
  'vllm:lora_requests_info{max_lora="4",running_lora_adapters="old",waiting_lora_adapters=""} 1.75e+09',
  'vllm:lora_requests_info{max_lora="4",running_lora_adapters="sql, tone ,,",waiting_lora_adapters="poet"} 1.76e+09',
  "# TYPE vllm:cache_config_info gauge",
  'vllm:cache_config_info{block_size="16",num_gpu_blocks="27872",engine="0"} 1.0',
];

test("a vLLM page gives every signal", () => {
  const { extractor } = build();
  const endpoint = buildEndpoint(0);
  expect(extractor.payload).toBe("prometheus-text");
  expect(extractor.extract(page(...vllm), endpoint, 1234)).toBeUndefined();
  expect(read(endpoint, WAITING_QUEUE_SIZE)).toBe(3);
  expect(read(endpoint, RUNNING_REQUESTS_SIZE)).toBe(5);
  expect(read(endpoint, KV_CACHE_USAGE)).toBe(0.25);
  expect(read(endpoint, ACTIVE_MODELS)).toEqual(new Set(["sql", "tone"]));
  expect(read(endpoint, WAITING_MODELS)).toEqual(new Set(["poet"]));
  expect(read(endpoint, MAX_ACTIVE_MODELS)).toBe(4);
  expect(read(endpoint, CACHE_BLOCK_SIZE)).toBe(16);
  expect(read(endpoint, CACHE_NUM_BLOCKS)).toBe(27872);
  expect(endpoint.writtenAtMs[WAITING_QUEUE_SIZE.index]).toBe(1234);
});

test.each<[string, readonly string[], readonly (readonly [AttributeKey<unknown>, unknown])[]]>([
  [
    "sglang",
    [
      "sglang:num_queue_reqs 2",
      "sglang:num_running_reqs 4",
      "sglang:token_usage 0.5",
      'sglang:cache_config_info{page_size="64",num_pages="1000"} 1',
    ],
    [
      [WAITING_QUEUE_SIZE, 2],
      [RUNNING_REQUESTS_SIZE, 4],
      [KV_CACHE_USAGE, 0.5],
      [CACHE_BLOCK_SIZE, 64],
      [CACHE_NUM_BLOCKS, 1000],
      [ACTIVE_MODELS, undefined],
    ],
  ],
  [
    "trtllm-serve",
    [
      "trtllm_num_requests_waiting 2",
      "trtllm_num_requests_running 4",
      "trtllm_kv_cache_utilization 0.5",
      "trtllm_kv_cache_tokens_per_block 32",
      "trtllm_kv_cache_max_blocks 500",
    ],
    [
      [WAITING_QUEUE_SIZE, 2],
      [RUNNING_REQUESTS_SIZE, 4],
      [KV_CACHE_USAGE, 0.5],
      [CACHE_BLOCK_SIZE, 32],
      [CACHE_NUM_BLOCKS, 500],
    ],
  ],
  [
    "triton-tensorrt-llm",
    [
      'nv_trt_llm_request_metrics{model="m",request_type="waiting",version="1"} 2',
      'nv_trt_llm_request_metrics{model="m",request_type="scheduled",version="1"} 4',
      'nv_trt_llm_request_metrics{model="m",request_type="context",version="1"} 99',
      'nv_trt_llm_kv_cache_block_metrics{kv_cache_block_type="fraction",model="m"} 0.5',
      'nv_trt_llm_kv_cache_block_metrics{kv_cache_block_type="tokens_per",model="m"} 64',
      'nv_trt_llm_kv_cache_block_metrics{kv_cache_block_type="max",model="m"} 6239',
      'nv_trt_llm_kv_cache_block_metrics{kv_cache_block_type="used",model="m"} 7',
    ],
    [
      [WAITING_QUEUE_SIZE, 2],
      [RUNNING_REQUESTS_SIZE, 4],
      [KV_CACHE_USAGE, 0.5],
      [CACHE_BLOCK_SIZE, 64],
      [CACHE_NUM_BLOCKS, 6239],
    ],
  ],
  [
    "triton",
    ['nv_inference_pending_request_count{model="m",version="1"} 2', 'nv_inference_exec_count{model="m"} 4711'],
    [
      [WAITING_QUEUE_SIZE, 2],
      [RUNNING_REQUESTS_SIZE, undefined],
      [KV_CACHE_USAGE, undefined],
    ],
  ],
])("the page of an endpoint labelled %s is read as that engine's", (engine, lines, values) => {
  const { extractor } = build();
  const endpoint = buildEndpoint(0, { labels: { "llm-d.ai/engine-type": engine } });
  expect(extractor.extract(page(...lines), endpoint, 0)).toBeUndefined();
  for (const [key, value] of values) expect(read(endpoint, key), key.id).toBe(value);
});

test("the engines of a data-parallel server add up, and the cache use is their mean", () => {
  const { extractor } = build();
  const endpoint = buildEndpoint(0);
  const lines = [
    'vllm:num_requests_waiting{engine="0"} 3',
    'vllm:num_requests_waiting{engine="1"} 4',
    'vllm:num_requests_running{engine="0"} 1',
    'vllm:num_requests_running{engine="1"} 0',
    'vllm:kv_cache_usage_perc{engine="0"} 0.9',
    'vllm:kv_cache_usage_perc{engine="1"} 0.1',
    'vllm:cache_config_info{block_size="16",num_gpu_blocks="100",engine="0"} 1',
    'vllm:cache_config_info{block_size="16",num_gpu_blocks="101",engine="1"} 1',
  ];
  expect(extractor.extract(page(...lines), endpoint, 0)).toBeUndefined();
  expect(read(endpoint, WAITING_QUEUE_SIZE)).toBe(7);
  expect(read(endpoint, RUNNING_REQUESTS_SIZE)).toBe(1);
  expect(read(endpoint, KV_CACHE_USAGE)).toBe(0.5);
  expect(read(endpoint, CACHE_BLOCK_SIZE)).toBe(16);
  expect(read(endpoint, CACHE_NUM_BLOCKS)).toBe(201);
});

test("a signal that vanishes becomes unknown, not zero, and is told of", () => {
  const { extractor } = build();
  const endpoint = buildEndpoint(0);
  extractor.extract(page(...vllm), endpoint, 0);
  const problem = extractor.extract(
    page(...vllm.filter((line) => !line.startsWith("vllm:num_requests_waiting"))),
    endpoint,
    5,
  );
  expect(problem).toBe("no series vllm:num_requests_waiting");
  expect(read(endpoint, WAITING_QUEUE_SIZE)).toBeUndefined();
  expect(read(endpoint, RUNNING_REQUESTS_SIZE)).toBe(5);
  expect(endpoint.writtenAtMs[RUNNING_REQUESTS_SIZE.index]).toBe(5);
});

test("an empty page makes every signal unknown", () => {
  const { extractor } = build();
  const endpoint = buildEndpoint(0);
  extractor.extract(page(...vllm), endpoint, 0);
  expect(extractor.extract(page(), endpoint, 5)).toBe(
    "no series vllm:num_requests_waiting; no series vllm:num_requests_running; no series vllm:kv_cache_usage_perc",
  );
  const keys: readonly AttributeKey<unknown>[] = [WAITING_QUEUE_SIZE, KV_CACHE_USAGE, ACTIVE_MODELS, CACHE_BLOCK_SIZE];
  for (const key of keys) {
    expect(read(endpoint, key), key.id).toBeUndefined();
  }
});

test("a page without adapters and without cache information is complete", () => {
  const { extractor } = build();
  const endpoint = buildEndpoint(0);
  expect(extractor.extract(page(...vllm.slice(0, 6)), endpoint, 0)).toBeUndefined();
  expect(read(endpoint, ACTIVE_MODELS)).toBeUndefined();
  expect(read(endpoint, CACHE_NUM_BLOCKS)).toBeUndefined();
});

test("samples count whatever their type, or without one", () => {
  const { extractor } = build();
  for (const type of ["gauge", "counter", "untyped", "histogram"]) {
    const endpoint = buildEndpoint(0);
    extractor.extract(page(`# TYPE vllm:num_requests_waiting ${type}`, "vllm:num_requests_waiting 6"), endpoint, 0);
    expect(read(endpoint, WAITING_QUEUE_SIZE), type).toBe(6);
  }
});

test.each([
  ["vllm:num_requests_waiting -1", "vllm:num_requests_waiting is -1, not a number of requests"],
  ["vllm:num_requests_waiting NaN", "vllm:num_requests_waiting is NaN, not a number of requests"],
  ["vllm:num_requests_waiting +Inf", "vllm:num_requests_waiting is Infinity, not a number of requests"],
])("a queue of %j is unknown and told of", (line, problem) => {
  const { extractor } = build();
  const endpoint = buildEndpoint(0, { attributes: [[WAITING_QUEUE_SIZE, 2]] });
  expect(extractor.extract(page(...vllm.slice(2), line), endpoint, 0)).toBe(problem);
  expect(read(endpoint, WAITING_QUEUE_SIZE)).toBeUndefined();
});

test.each([
  ["45", "vllm:kv_cache_usage_perc is 45, not a share from 0 to 1"],
  ["1.5", "vllm:kv_cache_usage_perc is 1.5, not a share from 0 to 1"],
  ["-0.1", "vllm:kv_cache_usage_perc is -0.1, not a share from 0 to 1"],
  ["NaN", "vllm:kv_cache_usage_perc is NaN, not a share from 0 to 1"],
])("a cache use of %s is not guessed to be a percentage: it is unknown and told of", (value, problem) => {
  const { extractor } = build();
  const endpoint = buildEndpoint(0);
  const lines = [...vllm.slice(0, 4), `vllm:kv_cache_usage_perc ${value}`];
  expect(extractor.extract(page(...lines), endpoint, 0)).toBe(problem);
  expect(read(endpoint, KV_CACHE_USAGE)).toBeUndefined();
});

test("a cache that rounding makes fuller than full is full", () => {
  const { extractor } = build();
  const endpoint = buildEndpoint(0);
  expect(extractor.extract(page(...vllm.slice(0, 4), "vllm:kv_cache_usage_perc 1.0001"), endpoint, 0)).toBeUndefined();
  expect(read(endpoint, KV_CACHE_USAGE)).toBe(1);
});

test.each([
  ['block_size="None",num_gpu_blocks="None"', undefined, undefined, undefined],
  ['block_size="16",num_gpu_blocks="None"', 16, undefined, undefined],
  ['num_gpu_blocks="100"', undefined, 100, undefined],
  [
    'block_size="sixteen",num_gpu_blocks="100"',
    undefined,
    100,
    'vllm:cache_config_info: label block_size is "sixteen", not a whole number above 0',
  ],
  [
    'block_size="0",num_gpu_blocks="1e3"',
    undefined,
    undefined,
    'vllm:cache_config_info: label block_size is "0", not a whole number above 0; ' +
      'vllm:cache_config_info: label num_gpu_blocks is "1e3", not a whole number above 0',
  ],
])("cache labels %s are read as %j and %j", (labels, blockSize, blocks, problem) => {
  const { extractor } = build();
  const endpoint = buildEndpoint(0);
  const lines = [...vllm.slice(0, 6), `vllm:cache_config_info{${labels}} 1`];
  expect(extractor.extract(page(...lines), endpoint, 0)).toBe(problem);
  expect(read(endpoint, CACHE_BLOCK_SIZE)).toBe(blockSize);
  expect(read(endpoint, CACHE_NUM_BLOCKS)).toBe(blocks);
});

test("block sizes that differ between engines are unknown and told of", () => {
  const { extractor } = build();
  const endpoint = buildEndpoint(0);
  const lines = [16, 32].map(
    (size) => `vllm:cache_config_info{block_size="${size}",num_gpu_blocks="10",engine="${size}"} 1`,
  );
  expect(extractor.extract(page(...vllm.slice(0, 6), ...lines), endpoint, 0)).toBe(
    "vllm:cache_config_info: label block_size differs between the engines of one page",
  );
  expect(read(endpoint, CACHE_BLOCK_SIZE)).toBeUndefined();
  expect(read(endpoint, CACHE_NUM_BLOCKS)).toBe(20);
});

test("no adapter running is known to be none", () => {
  const { extractor } = build();
  const endpoint = buildEndpoint(0);
  const line = 'vllm:lora_requests_info{max_lora="0",running_lora_adapters="",waiting_lora_adapters=" "} 1.7e9';
  expect(extractor.extract(page(...vllm.slice(0, 6), line), endpoint, 0)).toBeUndefined();
  expect(read(endpoint, ACTIVE_MODELS)).toEqual(new Set());
  expect(read(endpoint, WAITING_MODELS)).toEqual(new Set());
  expect(read(endpoint, MAX_ACTIVE_MODELS)).toBe(0);
});

test("strange adapter labels are told of, and what can be read of them counts", () => {
  const { extractor } = build();
  const endpoint = buildEndpoint(0);
  const many = Array.from({ length: 1500 }, (_, i) => `a${i}`).join(",");
  const line = `vllm:lora_requests_info{max_lora="many",running_lora_adapters="${many}"} 1.7e9`;
  expect(extractor.extract(page(...vllm.slice(0, 6), line), endpoint, 0)).toBe(
    "vllm:lora_requests_info: label running_lora_adapters names more than 1000 adapters; the rest is left out; " +
      'vllm:lora_requests_info: label max_lora is "many", not a whole number',
  );
  expect(endpoint.values[ACTIVE_MODELS.index]).toHaveProperty("size", 1000);
  expect(read(endpoint, MAX_ACTIVE_MODELS)).toBeUndefined();
});

test("a malformed line is told of with its number, and the rest of the page counts", () => {
  const { extractor } = build();
  const endpoint = buildEndpoint(0);
  const problem = extractor.extract(page(...vllm, 'vllm:num_requests_waiting{engine="1 7'), endpoint, 0);
  expect(problem).toMatch(/^line 12: vllm:num_requests_waiting: /);
  expect(read(endpoint, WAITING_QUEUE_SIZE)).toBe(3);
});

test("many problems of one page are told in bounded length", () => {
  const { extractor } = build();
  const lines = Array.from({ length: 500 }, (_, i) => `vllm:num_requests_waiting{e="${i}"} x`);
  const problem = extractor.extract(page("up 1", ...lines), buildEndpoint(0), 0)!;
  expect(problem).toMatch(/; and \d+ more$/);
  expect(problem.length).toBeLessThan(4000);
});

test("a page that is no metrics page changes nothing", () => {
  const { extractor } = build();
  const endpoint = buildEndpoint(0);
  extractor.extract(page(...vllm), endpoint, 1);
  expect(extractor.extract(Buffer.from("<html>"), endpoint, 9)).toMatch(/HTML/);
  expect(read(endpoint, WAITING_QUEUE_SIZE)).toBe(3);
  expect(endpoint.writtenAtMs[WAITING_QUEUE_SIZE.index]).toBe(1);
});

test("the engine label's older name works, and the configured one goes before it", () => {
  const { extractor } = build({ engineLabelKey: "engine" });
  const older = buildEndpoint(0, { labels: { "inference.networking.k8s.io/engine-type": "sglang" } });
  extractor.extract(page("sglang:num_queue_reqs 2", "vllm:num_requests_waiting 3"), older, 0);
  expect(read(older, WAITING_QUEUE_SIZE)).toBe(2);
  const both = buildEndpoint(0, { labels: { engine: "vllm", "inference.networking.k8s.io/engine-type": "sglang" } });
  extractor.extract(page("sglang:num_queue_reqs 2", "vllm:num_requests_waiting 3"), both, 0);
  expect(read(both, WAITING_QUEUE_SIZE)).toBe(3);
});

test("an engine that is not known reads as the default engine, and is told of once", () => {
  const { extractor, warnings } = build({ defaultEngine: "sglang" });
  for (const name of ["llama.cpp", "llama.cpp", "default", ""]) {
    const endpoint = buildEndpoint(0, { labels: { "llm-d.ai/engine-type": name } });
    extractor.extract(page("sglang:num_queue_reqs 2"), endpoint, 0);
    expect(read(endpoint, WAITING_QUEUE_SIZE)).toBe(2);
  }
  expect(warnings).toHaveLength(1);
  expect(warnings[0]).toMatchObject({ engine: "llama.cpp", readAs: "sglang" });
});

test("an endpoint that changes its engine keeps nothing that the new engine does not state", () => {
  const { extractor } = build();
  const endpoint = buildEndpoint(0);
  extractor.extract(page(...vllm), endpoint, 0);
  endpoint.update({ ...endpoint.metadata, labels: { "llm-d.ai/engine-type": "triton" } });
  extractor.extract(page("nv_inference_pending_request_count 8"), endpoint, 1);
  expect(read(endpoint, WAITING_QUEUE_SIZE)).toBe(8);
  expect(read(endpoint, RUNNING_REQUESTS_SIZE)).toBeUndefined();
  expect(read(endpoint, KV_CACHE_USAGE)).toBeUndefined();
  expect(read(endpoint, ACTIVE_MODELS)).toBeUndefined();
});

test("an engine of one's own reads what its specs say and leaves other signals alone", () => {
  const { extractor } = build({
    defaultEngine: "own",
    engineConfigs: [
      {
        name: "own",
        queuedRequestsSpec: 'own_requests{state="queued"}',
        runningRequestsSpec: "",
        cacheInfoSpec: "own_cache",
        cacheBlockSizeLabelName: "tokens",
        cacheNumBlocksSpec: "own_blocks",
        customMetrics: [{ attributeKey: "Temperature", metricSpec: "gpu_temperature" }],
      },
    ],
  });
  const endpoint = buildEndpoint(0, { attributes: [[RUNNING_REQUESTS_SIZE, 9, 3]] });
  const lines = [
    'own_requests{state="queued"} 5.9',
    'own_requests{state="running"} 6',
    'own_cache{tokens="8",num_gpu_blocks="77"} 1',
    "own_blocks 99",
    'gpu_temperature{gpu="0"} -3.5 1700000000000',
    'gpu_temperature{gpu="1"} 61.5 1700000000001',
  ];
  expect(extractor.extract(page(...lines), endpoint, 10)).toBeUndefined();
  expect(read(endpoint, WAITING_QUEUE_SIZE)).toBe(5);
  expect(read(endpoint, CACHE_BLOCK_SIZE)).toBe(8);
  expect(read(endpoint, CACHE_NUM_BLOCKS)).toBe(99);
  expect(read(endpoint, customMetric("Temperature"))).toBe(61.5);
  expect(read(endpoint, RUNNING_REQUESTS_SIZE)).toBe(9);
  expect(endpoint.writtenAtMs[RUNNING_REQUESTS_SIZE.index]).toBe(3);
  expect(extractor.extract(page("gpu_temperature NaN"), endpoint, 10)).toBe(
    'no series own_requests{state="queued"}; gpu_temperature is NaN, not a finite number',
  );
  expect(read(endpoint, customMetric("Temperature"))).toBeUndefined();
});

test("a number of blocks that is not stated as a value is taken from the label", () => {
  const { extractor } = build({
    defaultEngine: "own",
    engineConfigs: [{ name: "own", cacheInfoSpec: "own_cache", cacheNumBlocksSpec: "own_blocks" }],
  });
  const endpoint = buildEndpoint(0);
  const info = 'own_cache{block_size="8",num_gpu_blocks="77"} 1';
  expect(extractor.extract(page(info, "own_blocks 0"), endpoint, 0)).toBeUndefined();
  expect(read(endpoint, CACHE_NUM_BLOCKS)).toBe(77);
  expect(extractor.extract(page(info, "own_blocks -5"), endpoint, 0)).toBe("own_blocks is -5, not a number above 0");
});

test("a built-in engine's name replaces that engine as a whole", () => {
  const { extractor } = build({ engineConfigs: [{ name: "vllm", queuedRequestsSpec: "vllm:queue" }] });
  const endpoint = buildEndpoint(0);
  expect(extractor.extract(page("vllm:queue 4", ...vllm), endpoint, 0)).toBeUndefined();
  expect(read(endpoint, WAITING_QUEUE_SIZE)).toBe(4);
  expect(read(endpoint, KV_CACHE_USAGE)).toBeUndefined();
});
