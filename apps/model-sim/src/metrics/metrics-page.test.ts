import fc from "fast-check";
import { expect, test } from "vitest";
import { BlockHasher, hashPrompt } from "../engine/block-hasher.ts";
import { Engine } from "../engine/engine.ts";
import { Answer } from "../text/answer.ts";
import { VirtualClock } from "../virtual-clock.ts";
import { EngineMetrics } from "./engine-metrics.ts";
import { Histogram, oneTwoFiveBounds } from "./histogram.ts";
import { type EngineName, engineNames, metricFamilies } from "./metric-families.ts";
import { MetricsPage } from "./metrics-page.ts";
import { numberText } from "./number-text.ts";

interface ParsedPage {
  readonly types: Map<string, string>;
  /** Values by `name{labels}` as written. */
  readonly samples: Map<string, number>;
}

/** Reads Prometheus text strictly: each family once, with HELP and TYPE before its samples, and no sample twice. */
function parsePage(text: string): ParsedPage {
  const types = new Map<string, string>();
  const samples = new Map<string, number>();
  let helped = "";
  let family = "";
  expect(text.endsWith("\n")).toBe(true);
  for (const line of text.slice(0, -1).split("\n")) {
    const [, kind, name = "", rest = ""] = /^# (HELP|TYPE) (\S+) (.+)$/.exec(line) ?? [];
    if (kind === "HELP") {
      helped = name;
    } else if (kind === "TYPE") {
      expect(name).toBe(helped);
      expect(types.has(name)).toBe(false);
      types.set(name, rest);
      family = name;
    } else {
      const label = '[a-z_]+="(?:[^"\\\\\\n]|\\\\[\\\\"n])*"';
      const sample = new RegExp(`^([a-zA-Z_:][a-zA-Z0-9_:]*)((?:\\{${label}(?:,${label})*\\})?) (\\S+)$`).exec(line);
      if (sample === null) throw new Error(`not a sample: ${line}`);
      const [, sampleName = "", labels = "", value = ""] = sample;
      const suffixes = types.get(family) === "histogram" ? ["_bucket", "_count", "_sum"] : [""];
      expect(suffixes.map((suffix) => family + suffix)).toContain(sampleName);
      expect(samples.has(sampleName + labels)).toBe(false);
      samples.set(sampleName + labels, Number(value));
    }
  }
  return { types, samples };
}

function serve(engineName: EngineName, maxResidentAdapters = 2) {
  const clock = new VirtualClock();
  const metrics = new EngineMetrics({
    maxModelTokens: 1000,
    unixSeconds: () => clock.unixSeconds(),
    onListenerError() {},
  });
  const latency = {
    prefillTokensPerSecond: 1000,
    attentionTokens: 1e9,
    stepMs: 10,
    stepPerRequestMs: 0,
    stepPer1kContextMs: 0,
  };
  const limits = { blockTokens: 4, kvBlocks: 100, maxRunningRequests: 1, maxStepTokens: 1000 };
  const engine = new Engine(
    { ...limits, latency, maxResidentAdapters, adapterLoadMs: 0, maxLagMs: 50 },
    clock,
    metrics,
  );
  const facts = { ...limits, model: 'org/"m"', maxResidentAdapters };
  const page = new MetricsPage(metrics, metricFamilies(engineName, metrics, facts), 1);
  const submit = (promptTokens: number, answerTokens: number, adapter?: string) => {
    const hasher = new BlockHasher(4, adapter ?? "");
    const promptKeys = hashPrompt(hasher, new Uint32Array(promptTokens), 4);
    const request = { promptTokens, promptKeys, hasher, answer: new Answer(1, answerTokens, "length"), adapter };
    return engine.submit(request, { onFinish() {} });
  };
  return { clock, engine, page, submit, read: () => parsePage(page.bytes().toString()) };
}

const vllmLabels = '{engine="0",model_name="org/\\"m\\""}';

test("the vLLM page has the gauges of the last step, its counters and its cache configuration", () => {
  const { clock, read, submit } = serve("vllm");
  submit(20, 3);
  submit(20, 3);
  clock.runUntil(35);
  const busy = read().samples;
  expect(busy.get(`vllm:num_requests_running${vllmLabels}`)).toBe(1);
  expect(busy.get(`vllm:num_requests_waiting${vllmLabels}`)).toBe(1);
  expect(busy.get(`vllm:kv_cache_usage_perc${vllmLabels}`)).toBe(0.05);
  clock.runAll();
  const { samples, types } = read();
  expect(samples.get(`vllm:num_requests_running${vllmLabels}`)).toBe(0);
  expect(samples.get(`vllm:prompt_tokens_total${vllmLabels}`)).toBe(40);
  expect(samples.get(`vllm:generation_tokens_total${vllmLabels}`)).toBe(6);
  expect(samples.get(`vllm:prefix_cache_queries_total${vllmLabels}`)).toBe(40);
  expect(samples.get(`vllm:prefix_cache_hits_total${vllmLabels}`)).toBe(16);
  expect(samples.get(`vllm:time_to_first_token_seconds_count${vllmLabels}`)).toBe(2);
  expect(samples.get('vllm:time_to_first_token_seconds_bucket{engine="0",le="0.04",model_name="org/\\"m\\""}')).toBe(1);
  expect(samples.get('vllm:request_success_total{engine="0",finished_reason="length",model_name="org/\\"m\\""}')).toBe(
    2,
  );
  const info = [...samples.keys()].find((key) => key.startsWith("vllm:cache_config_info"));
  expect(info).toContain('block_size="4"');
  expect(info).toContain('num_gpu_blocks="100"');
  expect(types.get("vllm:num_requests_running")).toBe("gauge");
  expect(types.get("vllm:generation_tokens_total")).toBe("counter");
});

test("the newest adapter sample names the running and waiting adapters", () => {
  const { clock, read, submit } = serve("vllm", 2);
  submit(8, 5, "sql");
  submit(8, 5, "chat");
  clock.runUntil(30);
  const newest = () => {
    const entries = [...read().samples].filter(([key]) => key.startsWith("vllm:lora_requests_info"));
    return entries.reduce((a, b) => (b[1] > a[1] ? b : a))[0];
  };
  const labels = (running: string, waiting: string) =>
    `vllm:lora_requests_info{max_lora="2",running_lora_adapters="${running}",waiting_lora_adapters="${waiting}"}`;
  expect(newest()).toBe(labels("sql", "chat"));
  clock.runAll();
  expect(newest()).toBe(labels("", ""));
});

test("a server without adapters has no adapter family", () => {
  expect(serve("vllm", 0).read().types.has("vllm:lora_requests_info")).toBe(false);
});

test("SGLang and TensorRT-LLM pages use those engines' names", () => {
  const sglang = serve("sglang").read();
  const sglangLabels = '{engine_type="unified",model_name="org/\\"m\\"",pp_rank="0",tp_rank="0"}';
  for (const name of ["sglang:num_queue_reqs", "sglang:num_running_reqs", "sglang:token_usage"]) {
    expect(sglang.samples.get(name + sglangLabels)).toBe(0);
    expect(sglang.types.get(name)).toBe("gauge");
  }
  const info = [...sglang.samples.keys()].find((key) => key.startsWith("sglang:cache_config_info"));
  expect(info).toContain('num_pages="100"');
  expect(info).toContain('page_size="4"');
  const trtllm = serve("trtllm-serve").read();
  const trtllmLabels = '{engine_type="trtllm",model_name="org/\\"m\\""}';
  for (const name of ["trtllm_num_requests_waiting", "trtllm_num_requests_running", "trtllm_kv_cache_utilization"]) {
    expect(trtllm.samples.get(name + trtllmLabels)).toBe(0);
    expect(trtllm.types.get(name)).toBe("gauge");
  }
  expect(trtllm.samples.get(`trtllm_kv_cache_tokens_per_block${trtllmLabels}`)).toBe(4);
  expect(trtllm.samples.get(`trtllm_kv_cache_max_blocks${trtllmLabels}`)).toBe(100);
});

test("a stale page stays as it is until the mode is normal again", () => {
  const { clock, page, submit } = serve("vllm");
  const before = page.bytes();
  page.setMode("stale");
  submit(20, 3);
  clock.runAll();
  expect(page.bytes().equals(before)).toBe(true);
  page.setMode("normal");
  expect(page.bytes().equals(before)).toBe(false);
});

test("a garbage page has no complete sample line of the engine and is equal for equal seeds", () => {
  const { page } = serve("vllm");
  page.setMode("garbage");
  const garbage = page.bytes();
  expect(garbage.length).toBeGreaterThan(1000);
  expect(page.bytes().equals(garbage)).toBe(true);
  expect(() => parsePage(garbage.toString("latin1"))).toThrow();
});

test("padding adds at least its bytes of valid series around the engine's, and goes away again", () => {
  for (const name of engineNames) {
    const { page, read } = serve(name);
    const plain = page.bytes();
    for (const bytes of [1, 10_000, 200_000]) {
      page.setPadding(bytes);
      const padded = page.bytes();
      expect(padded.length - plain.length).toBeGreaterThanOrEqual(bytes);
      expect(padded.length - plain.length).toBeLessThanOrEqual(bytes + 16_384);
      expect(padded.includes(plain)).toBe(true);
      read();
    }
    page.setPadding(0);
    expect(page.bytes().equals(plain)).toBe(true);
  }
});

test("a histogram counts every value in the buckets at and above it", () => {
  fc.assert(
    fc.property(fc.array(fc.double({ min: 0, max: 20, noNaN: true })), (values) => {
      const histogram = new Histogram([1, 5, 10]);
      for (const value of values) histogram.observe(value);
      const upTo = (bound: number) => values.filter((value) => value <= bound).length;
      expect(histogram.cumulativeCounts()).toEqual([upTo(1), upTo(5), upTo(10), values.length]);
    }),
  );
  expect(oneTwoFiveBounds(100)).toEqual([1, 2, 5, 10, 20, 50, 100]);
});

test("a written number reads back as the same number", () => {
  fc.assert(
    fc.property(fc.double({ min: 0, noNaN: true }), (value) => {
      const text = numberText(value);
      expect(text === "+Inf" ? Number.POSITIVE_INFINITY : Number(text)).toBe(value);
    }),
  );
  expect([0, 12, 0.25, 1_795_633_203.471, 1e6].map(numberText)).toEqual([
    "0.0",
    "12.0",
    "0.25",
    "1.795633203471e+09",
    "1e+06",
  ]);
});
