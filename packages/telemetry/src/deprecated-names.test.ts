import { expect, test } from "vitest";
import { deprecatedNames } from "./deprecated-names.ts";
import { createPrometheusMetrics, type PrometheusMetrics } from "./prometheus-metrics.ts";

const create = (deprecated = true): PrometheusMetrics =>
  createPrometheusMetrics({ processMetrics: false, deprecatedNames: deprecated });

const labelNames = ["model_name", "target_model_name", "fairness_id", "priority"];

async function lines(metrics: PrometheusMetrics, prefix: string): Promise<readonly string[]> {
  return (await metrics.page()).split("\n").filter((line) => line.startsWith(prefix));
}

test("a counter stands under its old name with its old labels, added up over the others", async () => {
  const metrics = create();
  const total = metrics.counter({ name: "llm_d_epp_request_total", help: "Requests.", labelNames });
  total.labels("m", "t", "a", "0").inc(2);
  total.labels("m", "t", "b", "0").inc(3);
  total.labels("m", "t", "b", "1").inc(4);
  expect(await lines(metrics, "inference_objective_request_total")).toEqual([
    'inference_objective_request_total{model_name="m",target_model_name="t",priority="0"} 5',
    'inference_objective_request_total{model_name="m",target_model_name="t",priority="1"} 4',
  ]);
  expect(await metrics.page()).toContain(
    "# HELP inference_objective_request_total [ALPHA] [Deprecated: Use llm_d_epp_request_total] The same by another name.\n" +
      "# TYPE inference_objective_request_total counter\n",
  );
});

test("a histogram stands under its old name, bucket by bucket", async () => {
  const metrics = create();
  const sizes = metrics.histogram({
    name: "llm_d_epp_request_size_bytes",
    help: "Sizes.",
    labelNames,
    buckets: [1, 8],
  });
  sizes.labels("m", "t", "a", "0").observe(1);
  sizes.labels("m", "t", "b", "3").observe(5);
  sizes.labels("m", "t", "b", "3").observe(50);
  expect(await lines(metrics, "inference_objective_request_sizes")).toEqual([
    'inference_objective_request_sizes_bucket{le="1",model_name="m",target_model_name="t"} 1',
    'inference_objective_request_sizes_bucket{le="8",model_name="m",target_model_name="t"} 2',
    'inference_objective_request_sizes_bucket{le="+Inf",model_name="m",target_model_name="t"} 3',
    'inference_objective_request_sizes_sum{model_name="m",target_model_name="t"} 56',
    'inference_objective_request_sizes_count{model_name="m",target_model_name="t"} 3',
  ]);
});

test("a label has its old name", async () => {
  const metrics = create();
  metrics
    .gauge({
      name: "llm_d_epp_per_endpoint_queue_size",
      help: "Queue.",
      labelNames: ["name", "model_server_endpoint", "namespace"],
    })
    .labels("pool", "vllm-0", "ns")
    .set(7);
  expect(await lines(metrics, "inference_pool_per_pod")).toEqual([
    'inference_pool_per_pod_queue_size{name="pool",model_server_pod="vllm-0"} 7',
  ]);
});

test("a metric without labels keeps none, and a removed series is gone under both names", async () => {
  const metrics = create();
  const size = metrics.gauge({ name: "llm_d_epp_prefix_indexer_size", help: "Size.", labelNames: ["plugin_name"] });
  size.labels("a").set(1);
  size.labels("b").set(2);
  expect(await lines(metrics, "inference_extension_prefix")).toEqual(["inference_extension_prefix_indexer_size 3"]);
  size.remove("a");
  size.remove("b");
  expect(await lines(metrics, "inference_extension_prefix")).toEqual([]);
});

test("the latency series of the predictor need the predictor", async () => {
  const metrics = create();
  const ttft = { name: "llm_d_epp_request_ttft_seconds", help: "TTFT.", labelNames, buckets: [1] };
  metrics.histogram(ttft).labels("m", "t", "a", "0").observe(1);
  expect(await metrics.page()).not.toContain("inference_objective_request_ttft_seconds");
  metrics.gauge({ name: "llm_d_epp_inference_request_metric", help: "Figures.", labelNames });
  expect(await metrics.page()).toContain("inference_objective_request_ttft_seconds_count");
});

test("without the option there are no old names", async () => {
  const metrics = create(false);
  metrics.counter({ name: "llm_d_epp_request_total", help: "Requests.", labelNames }).labels("m", "t", "a", "0").inc();
  expect(await metrics.page()).not.toMatch(/inference_objective|inference_pool|inference_extension/);
});

test("no old name stands twice in the table, and none is a new one", () => {
  const names = deprecatedNames.map(({ name }) => name);
  expect(new Set(names).size).toBe(names.length);
  expect(names.filter((name) => name.startsWith("llm_d_epp_"))).toEqual([]);
});
