/**
 * Processor time to read five families from a vLLM metrics page, against a full parse by line and regular expression.
 * Run: node --conditions=@pointsman/source packages/core/bench/prometheus-scan.bench.ts
 * Profile one case: node --conditions=@pointsman/source --cpu-prof <this file> --only scan/32k
 */
import { MetricSpec, MetricsQuery, matchingSamples, reduceSamples } from "@pointsman/core/prometheus";
import type { VllmPage } from "./prometheus-vllm-page.ts";
import { vllmPage } from "./prometheus-vllm-page.ts";

const seed = 20;
const rounds = 40;
const roundMs = 40;

const waiting = new MetricSpec("vllm:num_requests_waiting");
const running = new MetricSpec("vllm:num_requests_running");
const kvCacheUsage = new MetricSpec("vllm:kv_cache_usage_perc");
const loraInfo = new MetricSpec("vllm:lora_requests_info");
const cacheInfo = new MetricSpec("vllm:cache_config_info");
const query = new MetricsQuery([waiting, running, kvCacheUsage, loraInfo, cacheInfo].map((spec) => spec.name));

interface Readings {
  readonly waiting: number | undefined;
  readonly running: number | undefined;
  readonly kvCacheUsage: number | undefined;
  readonly lora: string | undefined;
  readonly blocks: string | undefined;
}

function readByScan(bytes: Uint8Array): Readings {
  const page = query.scan(bytes);
  return {
    waiting: reduceSamples(matchingSamples(page, waiting), "sum"),
    running: reduceSamples(matchingSamples(page, running), "sum"),
    kvCacheUsage: reduceSamples(matchingSamples(page, kvCacheUsage), "mean"),
    lora: matchingSamples(page, loraInfo)[0]?.label("running_lora_adapters"),
    blocks: matchingSamples(page, cacheInfo)[0]?.label("num_gpu_blocks"),
  };
}

const sampleLine = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})?\s+(\S+)/;
const labelPair = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"/g;

interface ParsedSeries {
  readonly labels: Map<string, string>;
  readonly value: number;
}

function parseAll(bytes: Uint8Array): Map<string, ParsedSeries[]> {
  const families = new Map<string, ParsedSeries[]>();
  for (const line of Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("utf8").split("\n")) {
    if (line === "" || line.startsWith("#")) continue;
    const match = sampleLine.exec(line);
    if (match === null) continue;
    const labels = new Map<string, string>();
    for (const [, name, value] of (match[2] ?? "").matchAll(labelPair)) labels.set(name!, value!);
    const series = families.get(match[1]!);
    const parsed = { labels, value: Number(match[3]) };
    if (series === undefined) families.set(match[1]!, [parsed]);
    else series.push(parsed);
  }
  return families;
}

function readByFullParse(bytes: Uint8Array): Readings {
  const families = parseAll(bytes);
  const sum = (name: string): number | undefined =>
    families.get(name)?.reduce((total, series) => total + series.value, 0);
  const usage = sum(kvCacheUsage.name);
  return {
    waiting: sum(waiting.name),
    running: sum(running.name),
    kvCacheUsage: usage === undefined ? undefined : usage / families.get(kvCacheUsage.name)!.length,
    lora: families.get(loraInfo.name)?.[0]?.labels.get("running_lora_adapters"),
    blocks: families.get(cacheInfo.name)?.[0]?.labels.get("num_gpu_blocks"),
  };
}

/** Processor microseconds of one call, over as many calls as fit into the round. */
function timeRound(work: () => Readings): number {
  let calls = 0;
  const from = performance.now();
  const cpuFrom = process.cpuUsage();
  do {
    for (let call = 0; call < 10; call++) work();
    calls += 10;
  } while (performance.now() - from < roundMs);
  const { user, system } = process.cpuUsage(cpuFrom);
  return (user + system) / calls;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1]!;
}

function check(page: VllmPage): void {
  const [scanned, parsed] = [readByScan(page.bytes), readByFullParse(page.bytes)];
  if (JSON.stringify(scanned) !== JSON.stringify(parsed) || scanned.waiting !== page.waiting) {
    throw new Error(`readings differ: ${JSON.stringify({ scanned, parsed, waiting: page.waiting })}`);
  }
}

const onlyAt = process.argv.indexOf("--only");
const only = onlyAt < 0 ? undefined : process.argv[onlyAt + 1];
const pages = [
  { name: "32k", page: vllmPage({ seed, engines: 1 }) },
  { name: "8-engines", page: vllmPage({ seed, engines: 8 }) },
];

console.log(`node ${process.version}, seed ${seed}, median of ${rounds} rounds of ${roundMs} ms, cases in turn\n`);
for (const { name, page } of pages) {
  check(page);
  const cases = [
    { name: `scan/${name}`, work: () => readByScan(page.bytes), times: [] as number[] },
    { name: `full-parse/${name}`, work: () => readByFullParse(page.bytes), times: [] as number[] },
  ].filter((entry) => only === undefined || entry.name === only);
  if (cases.length === 0) continue;
  for (const { work } of cases) timeRound(work);
  for (let round = 0; round < rounds; round++) for (const entry of cases) entry.times.push(timeRound(entry.work));
  console.log(`${page.bytes.length} bytes, ${page.lines} lines, ${query.names.length} wanted families`);
  for (const { name: caseName, times } of cases) {
    const [mid, best] = [median(times), Math.min(...times)];
    console.log(`  ${caseName.padEnd(22)} ${mid.toFixed(1).padStart(8)} us   best ${best.toFixed(1).padStart(8)} us`);
  }
  if (cases.length === 2) {
    console.log(
      `  full parse / scan      ${(median(cases[1]!.times) / median(cases[0]!.times)).toFixed(1).padStart(8)} x\n`,
    );
  }
}
