import type { WorkloadRequest } from "../workload/workload.ts";
import { decodeStepMs, type EngineModel, prefillMs } from "./engine-model.ts";
import { KvCache } from "./kv-cache.ts";
import { type Stall, Stalls } from "./stalls.ts";

/** A request on a server. */
export interface Sequence {
  readonly request: WorkloadRequest;
  /** Called when output has grown: at the first token, every {@link progressTokens} tokens, and at the last one. */
  readonly onProgress: (sequence: Sequence) => void;
  readonly submittedMs: number;
  readonly blocks: number[];
  /** Blocks promised for output and not taken yet. */
  reservedBlocks: number;
  /** Prompt tokens found in the cache. */
  cachedTokens: number;
  /** Prompt tokens computed, those of the running step included. */
  computedTokens: number;
  outputTokens: number;
  /** Prompt tokens in the running step; 0 for a step of decode. */
  stepTokens: number;
  /** Whether the step's token budget left nothing for this sequence. */
  skipped: boolean;
  /** Prompt tokens a policy with true knowledge expects to be computed, until the sequence is admitted. */
  expectedTokens: number;
  /** When the first step of its prompt began. */
  admittedMs: number;
  firstTokenMs: number;
  finishedMs: number;
}

/** Output tokens between two reports of progress. */
export const progressTokens = 64;

/** A deviation of one server from the model. */
export interface EngineTrouble {
  /** 0.5 is half as fast. Default 1. */
  readonly speed?: number;
  /** Stretches of time in which it computes nothing. What its metrics page shows stays as it is. */
  readonly stalls?: readonly Stall[];
}

/** What the metrics page shows. As with vLLM, it changes only when a step ends. */
export interface EngineGauges {
  readonly running: number;
  readonly waiting: number;
  /** Share of the KV cache in use, 0 to 1. */
  readonly kvUsage: number;
}

/**
 * A model server in virtual time. Each step takes one token for every sequence that decodes and fills the rest of the
 * token budget with prompts, running ones first, then waiting ones in order of arrival. The blocks of a whole request are
 * reserved when it is admitted, so nothing is preempted.
 */
export class SimulatedEngine {
  readonly index: number;
  readonly model: EngineModel;
  readonly cache: KvCache;
  readonly #at: (atMs: number, run: () => void) => void;
  readonly #now: () => number;
  readonly #speed: number;
  readonly #stalls: Stalls;
  /** Arrived during the running step. */
  #arrived: Sequence[] = [];
  #waiting: Sequence[] = [];
  #running: Sequence[] = [];
  #reservedBlocks = 0;
  #stepEndsMs: number | undefined;
  gauges: EngineGauges = { running: 0, waiting: 0, kvUsage: 0 };
  /** Requests submitted and not finished. */
  present = 0;
  /** Time in which it computed, since the start. */
  busyMs = 0;

  constructor(options: {
    readonly index: number;
    readonly model: EngineModel;
    readonly keyCount: number;
    readonly trouble?: EngineTrouble | undefined;
    readonly now: () => number;
    readonly at: (atMs: number, run: () => void) => void;
  }) {
    this.index = options.index;
    this.model = options.model;
    this.cache = new KvCache(options.model.kvBlocks, options.keyCount);
    this.#now = options.now;
    this.#at = options.at;
    this.#speed = options.trouble?.speed ?? 1;
    this.#stalls = new Stalls(options.trouble?.stalls ?? []);
  }

  /** Milliseconds until the running step ends; 0 when idle. */
  get stepLeftMs(): number {
    return this.#stepEndsMs === undefined ? 0 : this.#stepEndsMs - this.#now();
  }

  get speed(): number {
    return this.#speed;
  }

  get running(): readonly Sequence[] {
    return this.#running;
  }

  /** Blocks that neither hold nor are promised to a sequence. */
  get unclaimedBlocks(): number {
    return this.cache.free - this.#reservedBlocks;
  }

  /** Sequences not admitted yet, in order of arrival. */
  *queued(): Iterable<Sequence> {
    yield* this.#waiting;
    yield* this.#arrived;
  }

  /** Blocks a request needs in all; its last token is never stored. */
  blocksFor(request: WorkloadRequest): number {
    return Math.ceil((request.promptTokens + request.output.tokens - 1) / this.model.blockTokens);
  }

  /** Whether this server could ever run the request. */
  fits(request: WorkloadRequest): boolean {
    return this.blocksFor(request) <= this.model.kvBlocks;
  }

  /** Prompt blocks that may come from the cache: at least one token has to be computed. */
  cacheableBlocks(request: WorkloadRequest): number {
    return Math.floor((request.promptTokens - 1) / this.model.blockTokens);
  }

  submit(
    request: WorkloadRequest,
    onProgress: (sequence: Sequence) => void,
    expectedTokens: number = request.promptTokens,
  ): void {
    this.#arrived.push({
      request,
      onProgress,
      submittedMs: this.#now(),
      blocks: [],
      reservedBlocks: 0,
      cachedTokens: 0,
      computedTokens: 0,
      outputTokens: 0,
      stepTokens: 0,
      skipped: false,
      expectedTokens,
      admittedMs: Number.NaN,
      firstTokenMs: Number.NaN,
      finishedMs: Number.NaN,
    });
    this.present++;
    if (this.#stepEndsMs === undefined) this.#startStep();
  }

  #startStep(): void {
    if (this.#arrived.length > 0) {
      // Not spread: a call takes some ten thousand arguments.
      for (const sequence of this.#arrived) this.#waiting.push(sequence);
      this.#arrived = [];
    }
    const { model } = this;
    let budgetTokens = model.maxBatchedTokens;
    let decoding = 0;
    let contextTokens = 0;
    let ms = 0;
    for (const sequence of this.#running) {
      sequence.skipped = budgetTokens === 0;
      if (sequence.skipped) continue;
      if (sequence.computedTokens < sequence.request.promptTokens) {
        ms += this.#prefill(sequence, budgetTokens);
        budgetTokens -= sequence.stepTokens;
        continue;
      }
      // The token of the step before gets its place in the cache now.
      const tokens = sequence.request.promptTokens + sequence.outputTokens;
      if (Math.ceil(tokens / model.blockTokens) > sequence.blocks.length) {
        sequence.blocks.push(this.cache.take());
        sequence.reservedBlocks--;
        this.#reservedBlocks--;
      }
      sequence.stepTokens = 0;
      budgetTokens--;
      decoding++;
      contextTokens += tokens;
    }
    let admitted = 0;
    while (budgetTokens > 0 && admitted < this.#waiting.length && this.#running.length < model.maxSequences) {
      const sequence = this.#waiting[admitted]!;
      if (!this.#admit(sequence)) break;
      admitted++;
      this.#running.push(sequence);
      ms += this.#prefill(sequence, budgetTokens);
      budgetTokens -= sequence.stepTokens;
    }
    if (admitted > 0) this.#waiting.splice(0, admitted);
    if (this.#running.length === 0) {
      this.#stepEndsMs = undefined;
      return;
    }
    ms = (ms + decodeStepMs(model, decoding, contextTokens)) / this.#speed;
    this.busyMs += ms;
    this.#stepEndsMs = this.#stalls.endOf(this.#now(), ms);
    this.#at(this.#stepEndsMs, () => this.#finishStep());
  }

  /** Takes the blocks of a waiting request if there are enough. */
  #admit(sequence: Sequence): boolean {
    const { request } = sequence;
    const { keys } = request;
    const hits = this.cache.matched(keys, this.cacheableBlocks(request));
    const all = this.blocksFor(request);
    if (this.unclaimedBlocks - this.cache.idleAmong(keys, hits) < all - hits) return false;
    for (let i = 0; i < hits; i++) sequence.blocks.push(this.cache.share(keys[i]!));
    const promptBlocks = Math.ceil(request.promptTokens / this.model.blockTokens);
    for (let i = hits; i < promptBlocks; i++) sequence.blocks.push(this.cache.take());
    sequence.reservedBlocks = all - sequence.blocks.length;
    this.#reservedBlocks += sequence.reservedBlocks;
    sequence.admittedMs = this.#now();
    sequence.cachedTokens = hits * this.model.blockTokens;
    sequence.computedTokens = sequence.cachedTokens;
    return true;
  }

  /** Puts as much of a prompt into the step as the budget allows. Its full blocks can be shared from then on. */
  #prefill(sequence: Sequence, budgetTokens: number): number {
    const { request, computedTokens } = sequence;
    const { blockTokens } = this.model;
    const tokens = Math.min(budgetTokens, request.promptTokens - computedTokens);
    const end = Math.floor((computedTokens + tokens) / blockTokens);
    for (let block = Math.floor(computedTokens / blockTokens); block < end; block++) {
      this.cache.publish(sequence.blocks[block]!, request.keys[block]!);
    }
    sequence.computedTokens += tokens;
    sequence.stepTokens = tokens;
    return prefillMs(this.model, computedTokens, tokens);
  }

  #finishStep(): void {
    const nowMs = this.#now();
    const reports: Sequence[] = [];
    const kept: Sequence[] = [];
    for (const sequence of this.#running) {
      const { request } = sequence;
      if (sequence.skipped || sequence.computedTokens < request.promptTokens) {
        kept.push(sequence);
        continue;
      }
      if (sequence.stepTokens === 0) {
        // The step stored the token before; a block that it filled can be shared.
        const tokens = request.promptTokens + sequence.outputTokens;
        if (tokens % this.model.blockTokens === 0) {
          const block = tokens / this.model.blockTokens - 1;
          this.cache.publish(sequence.blocks[block]!, request.keys[block]!);
        }
      }
      sequence.outputTokens++;
      if (sequence.outputTokens === 1) sequence.firstTokenMs = nowMs;
      const finished = sequence.outputTokens === request.output.tokens;
      if (finished) {
        sequence.finishedMs = nowMs;
        this.cache.release(sequence.blocks);
        this.#reservedBlocks -= sequence.reservedBlocks;
        sequence.blocks.length = 0;
        this.present--;
      } else kept.push(sequence);
      if (finished || sequence.outputTokens % progressTokens === 1) reports.push(sequence);
    }
    this.#running = kept;
    this.gauges = {
      running: kept.length,
      waiting: this.#waiting.length,
      kvUsage: 1 - this.cache.free / this.cache.size,
    };
    this.#startStep();
    // After the engine's own state is settled: who hears of it may submit the next request.
    for (const sequence of reports) sequence.onProgress(sequence);
  }
}
