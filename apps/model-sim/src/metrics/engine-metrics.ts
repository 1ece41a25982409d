import type { EngineGauges, EngineObserver } from "../engine/engine.ts";
import type { EngineSequence } from "../engine/sequence.ts";
import {
  firstTokenSecondsBounds,
  Histogram,
  oneTwoFiveBounds,
  requestSecondsBounds,
  stepTokensBounds,
  tokenGapSecondsBounds,
} from "./histogram.ts";

const idle: EngineGauges = {
  runningRequests: 0,
  waitingRequests: 0,
  kvUsage: 0,
  runningAdapters: [],
  waitingAdapters: [],
};

/** One set of adapter labels that was true at some time. */
export interface AdapterSample {
  readonly runningAdapters: string;
  readonly waitingAdapters: string;
  unixSeconds: number;
}

/** Sets of adapter labels kept on the page; a real server keeps all it ever had. */
const maxAdapterSamples = 32;

/** Everything a metrics page is made of, independent of the names an engine gives it. Durations are in seconds. */
export class EngineMetrics implements EngineObserver {
  /** Goes up whenever a value changes. */
  version = 0;
  gauges: EngineGauges = idle;
  promptTokens = 0;
  generatedTokens = 0;
  cacheQueryTokens = 0;
  cacheHitTokens = 0;
  readonly finished: Record<"stop" | "length" | "abort", number> = { stop: 0, length: 0, abort: 0 };
  readonly adapterSamples: Map<string, AdapterSample> = new Map();
  readonly firstTokenSeconds: Histogram = new Histogram(firstTokenSecondsBounds);
  readonly tokenGapSeconds: Histogram = new Histogram(tokenGapSecondsBounds);
  readonly secondsPerToken: Histogram = new Histogram(tokenGapSecondsBounds);
  readonly requestSeconds: Histogram = new Histogram(requestSecondsBounds);
  readonly queueSeconds: Histogram = new Histogram(requestSecondsBounds);
  readonly runSeconds: Histogram = new Histogram(requestSecondsBounds);
  readonly prefillSeconds: Histogram = new Histogram(requestSecondsBounds);
  readonly decodeSeconds: Histogram = new Histogram(requestSecondsBounds);
  readonly stepTokens: Histogram = new Histogram(stepTokensBounds);
  readonly requestPromptTokens: Histogram;
  readonly requestGeneratedTokens: Histogram;
  readonly requestMaxTokens: Histogram;

  readonly #unixSeconds: () => number;
  readonly #onListenerError: (error: unknown) => void;

  constructor(options: {
    readonly maxModelTokens: number;
    readonly unixSeconds: () => number;
    readonly onListenerError: (error: unknown) => void;
  }) {
    const sizes = oneTwoFiveBounds(options.maxModelTokens);
    this.requestPromptTokens = new Histogram(sizes);
    this.requestGeneratedTokens = new Histogram(sizes);
    this.requestMaxTokens = new Histogram(sizes);
    this.#unixSeconds = options.unixSeconds;
    this.#onListenerError = options.onListenerError;
    this.#sampleAdapters(idle);
  }

  onScheduled(sequence: EngineSequence): void {
    this.cacheQueryTokens += sequence.request.promptTokens;
    this.cacheHitTokens += sequence.cachedTokens;
  }

  onToken(sequence: EngineSequence, sinceMs: number): void {
    const seconds = ((sequence.lastTokenMs ?? sinceMs) - sinceMs) / 1000;
    this.generatedTokens += 1;
    if (sequence.producedTokens > 1) {
      this.tokenGapSeconds.observe(seconds);
      return;
    }
    this.firstTokenSeconds.observe(seconds);
    this.promptTokens += sequence.request.promptTokens;
  }

  onEnd(sequence: EngineSequence, atMs: number): void {
    this.version += 1;
    this.finished[sequence.state === "aborted" ? "abort" : sequence.request.answer.finishReason] += 1;
    const { scheduledMs, firstTokenMs, arrivedMs, producedTokens } = sequence;
    this.requestSeconds.observe((atMs - arrivedMs) / 1000);
    this.queueSeconds.observe(((scheduledMs ?? atMs) - arrivedMs) / 1000);
    this.requestPromptTokens.observe(sequence.request.promptTokens);
    this.requestGeneratedTokens.observe(producedTokens);
    this.requestMaxTokens.observe(sequence.request.answer.tokens);
    if (scheduledMs === undefined) return;
    this.runSeconds.observe((atMs - scheduledMs) / 1000);
    if (firstTokenMs === undefined) return;
    this.prefillSeconds.observe((firstTokenMs - scheduledMs) / 1000);
    this.decodeSeconds.observe((atMs - firstTokenMs) / 1000);
    if (producedTokens > 1) this.secondsPerToken.observe((atMs - firstTokenMs) / 1000 / (producedTokens - 1));
  }

  onStep(promptTokens: number, generatedTokens: number): void {
    this.version += 1;
    this.stepTokens.observe(promptTokens + generatedTokens);
  }

  onGauges(gauges: EngineGauges): void {
    this.version += 1;
    this.gauges = gauges;
    this.#sampleAdapters(gauges);
  }

  onListenerError(error: unknown): void {
    this.#onListenerError(error);
  }

  #sampleAdapters(gauges: EngineGauges): void {
    const runningAdapters = gauges.runningAdapters.join(",");
    const waitingAdapters = gauges.waitingAdapters.join(",");
    const key = `${runningAdapters}|${waitingAdapters}`;
    const known = this.adapterSamples.get(key);
    if (known !== undefined) {
      known.unixSeconds = this.#unixSeconds();
      return;
    }
    if (this.adapterSamples.size >= maxAdapterSamples) {
      let oldest: [string, AdapterSample] | undefined;
      for (const entry of this.adapterSamples) {
        if (oldest === undefined || entry[1].unixSeconds < oldest[1].unixSeconds) oldest = entry;
      }
      if (oldest !== undefined) this.adapterSamples.delete(oldest[0]);
    }
    this.adapterSamples.set(key, { runningAdapters, waitingAdapters, unixSeconds: this.#unixSeconds() });
  }
}
