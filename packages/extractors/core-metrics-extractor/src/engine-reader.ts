import {
  ACTIVE_MODELS,
  type AttributeKey,
  CACHE_BLOCK_SIZE,
  CACHE_NUM_BLOCKS,
  customMetric,
  type Endpoint,
  type EndpointWriter,
  KV_CACHE_USAGE,
  MAX_ACTIVE_MODELS,
  RUNNING_REQUESTS_SIZE,
  WAITING_MODELS,
  WAITING_QUEUE_SIZE,
} from "@pointsman/core";
import {
  latestSample,
  type MetricSample,
  type MetricSpec,
  type MetricsPage,
  MetricsQuery,
  matchingSamples,
  reduceSamples,
} from "@pointsman/core/prometheus";
import { readLabelNumber, readValueNumber } from "./cache-blocks.ts";
import { signalsOf } from "./engine-signals.ts";
import { readLoraAdapters } from "./lora-adapters.ts";
import type { EngineConfig } from "./params.ts";

/** Gives the writer of an attribute. */
export type WriterOf = <T>(key: AttributeKey<T>) => EndpointWriter<T>;

/** Rounding may put a full cache a little above 1; what is further above is no share. */
const largestShare = 1.01;
const maxProblems = 8;

/** Writes one part of what a page says. Adds what it could not read to `problems`. */
type SignalReader = (page: MetricsPage, endpoint: Endpoint, nowMs: number, problems: string[]) => void;

/** Reads the pages of one engine: the series it needs are found in one pass. */
export class EngineReader {
  readonly name: string;
  /** Names of the series it looks for. */
  readonly series: readonly string[];
  readonly #query: MetricsQuery;
  readonly #readers: readonly SignalReader[];
  readonly #writers: ReadonlyMap<AttributeKey<unknown>, EndpointWriter<unknown>>;

  constructor(engine: EngineConfig, writerOf: WriterOf) {
    this.name = engine.name;
    this.#readers = signalReaders(engine, writerOf);
    this.series = [...new Set(specsOf(engine).map(({ name }) => name))];
    this.#query = new MetricsQuery(this.series);
    this.#writers = new Map([...signalsOf(engine)].map((key) => [key, writerOf(key)]));
  }

  /** Writes what the page says about the endpoint; signals it does not state become unknown. Returns what is wrong. */
  read(body: Uint8Array, endpoint: Endpoint, nowMs: number): string | undefined {
    const page = this.#query.scan(body);
    if (page.garbage !== undefined) return page.garbage;
    const problems: string[] = [];
    for (const read of this.#readers) read(page, endpoint, nowMs, problems);
    for (const { line, what } of page.problems) problems.push(`line ${line}: ${what}`);
    if (problems.length === 0) return undefined;
    const total = problems.length + page.problemCount - page.problems.length;
    const told = problems.slice(0, maxProblems).join("; ");
    return total > maxProblems ? `${told}; and ${total - maxProblems} more` : told;
  }

  /** Makes unknown what this engine wrote and `next` does not write: the endpoint changed its engine. */
  forget(endpoint: Endpoint, next: EngineReader, nowMs: number): void {
    for (const [key, writer] of this.#writers) {
      if (!next.#writers.has(key)) writer.set(endpoint, undefined, nowMs);
    }
  }
}

function specsOf(engine: EngineConfig): readonly MetricSpec[] {
  return [
    engine.queuedRequests,
    engine.runningRequests,
    engine.kvUsage,
    engine.lora,
    engine.cacheInfo,
    engine.cacheBlockSize,
    engine.cacheNumBlocks,
    ...engine.customMetrics.map(({ spec }) => spec),
  ].filter((spec) => spec !== undefined);
}

function signalReaders(engine: EngineConfig, writerOf: WriterOf): readonly SignalReader[] {
  const readers: SignalReader[] = [];
  const add = (
    spec: MetricSpec | undefined,
    key: AttributeKey<number>,
    read: (samples: readonly MetricSample[], spec: MetricSpec, problems: string[]) => number | undefined,
  ): void => {
    if (spec === undefined) return;
    const writer = writerOf(key);
    readers.push((page, endpoint, nowMs, problems) => {
      const samples = matchingSamples(page, spec);
      if (samples.length === 0) problems.push(`no series ${spec}`);
      writer.set(endpoint, samples.length === 0 ? undefined : read(samples, spec, problems), nowMs);
    });
  };
  add(engine.queuedRequests, WAITING_QUEUE_SIZE, readCount);
  add(engine.runningRequests, RUNNING_REQUESTS_SIZE, readCount);
  add(engine.kvUsage, KV_CACHE_USAGE, readShare);
  for (const { attributeKey, spec } of engine.customMetrics) add(spec, customMetric(attributeKey), readPlain);
  if (engine.lora !== undefined) readers.push(loraReader(engine.lora, writerOf));
  readers.push(...cacheReaders(engine, writerOf));
  return readers;
}

/** Adds up the series of all engines. Fractions are dropped: these are requests. */
function readCount(samples: readonly MetricSample[], spec: MetricSpec, problems: string[]): number | undefined {
  const sum = reduceSamples(samples, "sum");
  const negative = samples.find(({ value }) => value < 0);
  if (sum !== undefined && negative === undefined && Number.isFinite(sum)) return Math.trunc(sum);
  problems.push(`${spec} is ${negative?.value ?? sum ?? "NaN"}, not a number of requests`);
  return undefined;
}

/** The mean over the engines: they have caches of one size, so it is the share of all their blocks together. */
function readShare(samples: readonly MetricSample[], spec: MetricSpec, problems: string[]): number | undefined {
  const strange = samples.find(({ value }) => !(value >= 0 && value <= largestShare));
  if (strange !== undefined) {
    problems.push(`${spec} is ${strange.value}, not a share from 0 to 1`);
    return undefined;
  }
  return Math.min(1, reduceSamples(samples, "mean") ?? 0);
}

function readPlain(samples: readonly MetricSample[], spec: MetricSpec, problems: string[]): number | undefined {
  const value = latestSample(samples)?.value;
  if (value !== undefined && Number.isFinite(value)) return value;
  problems.push(`${spec} is ${value}, not a finite number`);
  return undefined;
}

function loraReader(spec: MetricSpec, writerOf: WriterOf): SignalReader {
  const active = writerOf(ACTIVE_MODELS);
  const waiting = writerOf(WAITING_MODELS);
  const max = writerOf(MAX_ACTIVE_MODELS);
  return (page, endpoint, nowMs, problems) => {
    const adapters = readLoraAdapters(matchingSamples(page, spec));
    active.set(endpoint, adapters?.active, nowMs);
    waiting.set(endpoint, adapters?.waiting, nowMs);
    max.set(endpoint, adapters?.max, nowMs);
    if (adapters?.problem !== undefined) problems.push(adapters.problem);
  };
}

function cacheReaders(engine: EngineConfig, writerOf: WriterOf): readonly SignalReader[] {
  const reader = (
    key: AttributeKey<number>,
    valueSpec: MetricSpec | undefined,
    label: string,
    combine: "sum" | "same",
  ): readonly SignalReader[] => {
    const { cacheInfo } = engine;
    if (valueSpec === undefined && cacheInfo === undefined) return [];
    const writer = writerOf(key);
    return [
      (page, endpoint, nowMs, problems) => {
        const stated = valueSpec === undefined ? undefined : readValueNumber(matchingSamples(page, valueSpec), combine);
        const labelled =
          stated?.value !== undefined || cacheInfo === undefined
            ? undefined
            : readLabelNumber(matchingSamples(page, cacheInfo), label, combine);
        writer.set(endpoint, stated?.value ?? labelled?.value, nowMs);
        for (const read of [stated, labelled]) if (read?.problem !== undefined) problems.push(read.problem);
      },
    ];
  };
  return [
    ...reader(CACHE_BLOCK_SIZE, engine.cacheBlockSize, engine.cacheBlockSizeLabel, "same"),
    ...reader(CACHE_NUM_BLOCKS, engine.cacheNumBlocks, engine.cacheNumBlocksLabel, "sum"),
  ];
}
