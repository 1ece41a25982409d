import {
  groupByLabel,
  latestSample,
  MetricsQuery,
  maxLinesPerFamily,
  maxProblemsPerPage,
  parseMetricSpec,
} from "../../../packages/core/src/prometheus/index.ts";
import { FuzzRandom } from "../fuzz-random.ts";
import type { FuzzTarget } from "../fuzz-target.ts";
import { textOf } from "../inputs/texts.ts";

const names = ["vllm:num_requests_waiting", "vllm:kv_cache_usage_perc", "vllm:lora_requests_info", "load"];
const query = new MetricsQuery(names);

const lines = [
  "# HELP load Text\n",
  "# TYPE load gauge\n",
  "# TYPE vllm:num_requests_waiting counter\n",
  "# EOF\n",
  'vllm:num_requests_waiting{engine="0",model_name="m"} 3.0\n',
  'vllm:num_requests_waiting{engine="1",model_name="m"} NaN 1795372642000\n',
  "vllm:kv_cache_usage_perc 0.25\r\n",
  'vllm:lora_requests_info{max_lora="4",running_lora_adapters="a,b",waiting_lora_adapters=""} 1.795e+09\n',
  'vllm:e2e_bucket{le="+Inf"} 3\n',
  'load{a="\\"\\\\\\n"} +Inf # {trace_id="x"} 1 2\n',
  "load -0\n",
];
const pieces = [...lines, ...lines, "load", "{", "}", '"', "\\", "=", ",", " ", "\t", "\n", "#", "1e9", "é", "\0"];

function read(bytes: Uint8Array, format: "text" | "openmetrics" | undefined, cutOff: boolean): string {
  const page = query.scan(bytes, { ...(format === "openmetrics" ? { format } : {}), cutOff });
  if (page.problems.length > maxProblemsPerPage || page.problems.length > page.problemCount) {
    throw new Error(`${page.problems.length} problems are kept of ${page.problemCount}`);
  }
  if (page.families.length !== names.length) throw new Error(`${page.families.length} families`);
  return JSON.stringify([
    page.garbage,
    page.problems,
    page.families.map(({ name, type, samples }) => {
      if (samples.length > maxLinesPerFamily) throw new Error(`${samples.length} samples`);
      latestSample(samples);
      groupByLabel(samples, "engine");
      return [name, type, samples.map((sample) => [String(sample.value), sample.timestampMs, [...sample.labels()]])];
    }),
  ]);
}

const target: FuzzTarget = {
  summary: "metrics pages: read to the end, the same again and between other bytes; samples and problems bounded",
  sample: (random) => textOf(random, random.oneIn(2) ? lines : pieces, random.pick([8, 60, 300])),
  check(input) {
    const random = FuzzRandom.of(input);
    const format = random.oneIn(2) ? "openmetrics" : undefined;
    const cutOff = random.oneIn(2);
    const around = Buffer.concat([Buffer.from("load 1\n"), input, Buffer.from('"} 1\nload 7\n')]);
    const once = read(input, format, cutOff);
    const again = read(around.subarray(7, 7 + input.length), format, cutOff);
    if (once !== again) throw new Error(`alone: ${once}\nbetween other bytes: ${again}`);
    try {
      parseMetricSpec(Buffer.from(input.subarray(0, 200)).toString());
    } catch (thrown: unknown) {
      if (!(thrown instanceof Error && thrown.name === "MetricSpecError")) throw thrown;
    }
  },
};
export default target;
