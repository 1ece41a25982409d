import {
  CACHE_BLOCK_SIZE,
  CACHE_NUM_BLOCKS,
  KV_CACHE_USAGE,
  MAX_ACTIVE_MODELS,
  type PollingExtractor,
  RUNNING_REQUESTS_SIZE,
  WAITING_QUEUE_SIZE,
} from "@pointsman/core";
import { buildEndpoint, buildPlugin } from "@pointsman/testkit";
import fc from "fast-check";
import { expect, test } from "vitest";
import plugin from "./index.ts";

// The contract test has checked the role.
const extractor = buildPlugin(plugin).instance as unknown as PollingExtractor;
const page = (lines: readonly string[]): Buffer => Buffer.from(lines.map((line) => `${line}\n`).join(""));

test("whatever the bytes: nothing is thrown, and values are such as an engine can have", () => {
  const number = fc.oneof(
    fc.double().map(String),
    fc.constantFrom("NaN", "+Inf", "-Inf", "", "1e400", "0x1p3", "-0", "1 2 3"),
  );
  const name = fc.constantFrom(
    "vllm:num_requests_waiting",
    "vllm:num_requests_running",
    "vllm:kv_cache_usage_perc",
    "vllm:lora_requests_info",
    "vllm:cache_config_info",
    "other",
  );
  const labels = fc
    .array(
      fc.tuple(
        fc.constantFrom("engine", "block_size", "num_gpu_blocks", "max_lora", "running_lora_adapters"),
        fc.oneof(fc.string({ maxLength: 8 }), fc.nat({ max: 99 }).map(String)),
      ),
      { maxLength: 3 },
    )
    .map((pairs) => (pairs.length === 0 ? "" : `{${pairs.map(([label, value]) => `${label}="${value}"`).join(",")}}`));
  const line = fc.oneof(
    fc.tuple(name, labels, number).map(([n, l, v]) => `${n}${l} ${v}`),
    fc.string(),
  );
  const bytes = fc.oneof(
    fc.array(line, { maxLength: 12 }).map((lines) => Buffer.from(lines.join("\n"))),
    fc.uint8Array({ maxLength: 200 }),
  );
  fc.assert(
    fc.property(bytes, (body) => {
      const endpoint = buildEndpoint(0);
      extractor.extract(body, endpoint, 0);
      for (const key of [
        WAITING_QUEUE_SIZE,
        RUNNING_REQUESTS_SIZE,
        CACHE_BLOCK_SIZE,
        CACHE_NUM_BLOCKS,
        MAX_ACTIVE_MODELS,
      ]) {
        const value = endpoint.values[key.index];
        if (value === undefined) continue;
        expect(Number.isInteger(value) && Number(value) >= 0, `${key.id}: ${String(value)}`).toBe(true);
      }
      const share = endpoint.values[KV_CACHE_USAGE.index];
      if (share !== undefined) expect(Number(share) >= 0 && Number(share) <= 1, `share ${String(share)}`).toBe(true);
    }),
    { numRuns: 500 },
  );
});

test("the order of series on the page does not matter", () => {
  const samples = [
    'vllm:num_requests_waiting{engine="0"} 3',
    'vllm:num_requests_waiting{engine="1"} 4',
    'vllm:num_requests_running{engine="0"} 5',
    'vllm:kv_cache_usage_perc{engine="0"} 0.5',
    'vllm:kv_cache_usage_perc{engine="1"} 0.25',
    'vllm:lora_requests_info{max_lora="4",running_lora_adapters="a",waiting_lora_adapters=""} 1.75e+09',
    'vllm:lora_requests_info{max_lora="4",running_lora_adapters="b",waiting_lora_adapters="c"} 1.76e+09',
    'vllm:cache_config_info{block_size="16",num_gpu_blocks="10",engine="0"} 1.0',
    'vllm:cache_config_info{block_size="16",num_gpu_blocks="11",engine="1"} 1.0',
  ];
  fc.assert(
    fc.property(fc.shuffledSubarray(samples, { minLength: samples.length }), (lines) => {
      const endpoint = buildEndpoint(0);
      extractor.extract(page(lines), endpoint, 0);
      const inOrder = buildEndpoint(0);
      extractor.extract(page(samples), inOrder, 0);
      expect(endpoint.values).toEqual(inOrder.values);
    }),
  );
});
