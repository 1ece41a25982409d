import type { Alarm, Clock } from "../clock.ts";
import { AdapterSlots } from "./adapter-slots.ts";
import { KvCache } from "./kv-cache.ts";
import { decodeMs, type LatencyModel, prefillMs } from "./latency-model.ts";
import {
  type EngineListener,
  type EngineRequest,
  type EngineSequence,
  type Sequence,
  WaitingList,
} from "./sequence.ts";

export interface EngineParams {
  readonly blockTokens: number;
  readonly kvBlocks: number;
  readonly maxRunningRequests: number;
  /** Prompt tokens plus generated tokens of one step. */
  readonly maxStepTokens: number;
  readonly latency: LatencyModel;
  /** Adapters in GPU memory at the same time. */
  readonly maxResidentAdapters: number;
  readonly adapterLoadMs: number;
  /** How late, in the clock's milliseconds, a step may be handled before the engine lets the time pass unused. */
  readonly maxLagMs: number;
}

/** What the server's metrics show. Replaced at the end of each step, so old while a step takes long. */
export interface EngineGauges {
  readonly runningRequests: number;
  readonly waitingRequests: number;
  /** Share of the KV-cache blocks that have a user, 0 to 1. */
  readonly kvUsage: number;
  readonly runningAdapters: readonly string[];
  readonly waitingAdapters: readonly string[];
}

/** Is told what happens, for metrics. Times are the clock's milliseconds. */
export interface EngineObserver {
  onScheduled(sequence: EngineSequence): void;
  onToken(sequence: EngineSequence, sinceMs: number): void;
  onEnd(sequence: EngineSequence, atMs: number): void;
  onStep(promptTokens: number, generatedTokens: number): void;
  onGauges(gauges: EngineGauges): void;
  /** A listener threw; its request has been aborted. */
  onListenerError(error: unknown): void;
}

/** The engine's true state, for tests and inspection. */
export interface EngineState {
  readonly runningRequests: number;
  readonly waitingRequests: number;
  readonly usedBlocks: number;
  readonly reservedBlocks: number;
  readonly cachedBlocks: number;
  readonly residentAdapters: readonly string[];
  /** Simulated time given up because the machine could not keep pace. */
  readonly heldBackMs: number;
}

const noAdapters: readonly string[] = [];
/** Steps made in one go when the engine lags behind, before other work of the process gets its turn. */
const stepsPerWake = 32;

/**
 * A model server's engine with continuous batching, chunked prefill and a prefix cache. A step gives each decoding
 * request one token and fills the rest of its token budget with prompt chunks: running requests first, then waiting
 * ones in order of arrival. A request is admitted when the blocks for all of it are free, so none is preempted.
 * Steps follow each other at their computed times; a late timer changes no simulated duration.
 */
export class Engine {
  readonly #params: EngineParams;
  readonly #clock: Clock;
  readonly #observer: EngineObserver;
  readonly #alarm: Alarm;
  readonly #cache: KvCache;
  readonly #adapters: AdapterSlots;
  readonly #waiting = new WaitingList();
  readonly #running: Sequence[] = [];
  readonly #progressed: Sequence[] = [];
  /** Waiting and running sequences by what `submit` returned for them. */
  readonly #open = new Map<EngineSequence, Sequence>();
  #reservedBlocks = 0;
  #stepEndMs = 0;
  #stepPromptTokens = 0;
  #busy = false;
  #stopped = false;
  #slowFactor = 1;
  #heldBackMs = 0;

  constructor(params: EngineParams, clock: Clock, observer: EngineObserver) {
    this.#params = params;
    this.#clock = clock;
    this.#observer = observer;
    this.#cache = new KvCache(params.kvBlocks);
    this.#adapters = new AdapterSlots(params.maxResidentAdapters);
    this.#alarm = clock.alarm(() => this.#wake());
  }

  /** Multiplies the duration of the steps that start from now on. */
  setSlowFactor(factor: number): void {
    this.#slowFactor = factor;
  }

  /** Whether the engine could ever run a request of this size. */
  fits(promptTokens: number, answerTokens: number): boolean {
    return this.#blocksFor(promptTokens, answerTokens) <= this.#params.kvBlocks;
  }

  /** Queues a request that `fits`. Listeners are called from timers, never before this returns. */
  submit(request: EngineRequest, listener: EngineListener): EngineSequence {
    if (!this.fits(request.promptTokens, request.answer.tokens)) {
      throw new Error("Engine.submit: the request needs more KV-cache blocks than the engine has");
    }
    const sequence: Sequence = {
      request,
      listener,
      state: "waiting",
      arrivedMs: this.#clock.nowMs(),
      scheduledMs: undefined,
      firstTokenMs: undefined,
      lastTokenMs: undefined,
      cachedTokens: 0,
      producedTokens: 0,
      promptBlocks: [],
      blocks: [],
      reservedBlocks: 0,
      computedTokens: 0,
      part: "none",
      previousWaiting: undefined,
      nextWaiting: undefined,
    };
    this.#open.set(sequence, sequence);
    this.#waiting.add(sequence);
    if (request.adapter !== undefined) this.#adapters.addWaiting(request.adapter, 1);
    if (!this.#busy && !this.#stopped) {
      this.#startStep(sequence.arrivedMs);
      this.#setAlarm();
    }
    return sequence;
  }

  /** How many tokens at the start of a prompt are in the cache. */
  cachedTokens(promptTokens: number, promptKeys: Float64Array): number {
    const { blockTokens } = this.#params;
    return this.#cache.countHits(promptKeys, Math.floor((promptTokens - 1) / blockTokens)) * blockTokens;
  }

  /** Ends a request. A waiting one is gone at once; a running one gives its blocks back when the step ends. */
  abort(given: EngineSequence): void {
    const sequence = this.#open.get(given);
    if (sequence === undefined) return;
    this.#open.delete(sequence);
    const wasWaiting = sequence.state === "waiting";
    sequence.state = "aborted";
    if (!wasWaiting) return;
    this.#waiting.remove(sequence);
    if (sequence.request.adapter !== undefined) this.#adapters.addWaiting(sequence.request.adapter, -1);
    this.#observer.onEnd(sequence, this.#clock.nowMs());
  }

  /** Makes no further step. */
  stop(): void {
    this.#stopped = true;
    this.#alarm.clear();
  }

  state(): EngineState {
    return {
      runningRequests: this.#running.length,
      waitingRequests: this.#waiting.length,
      usedBlocks: this.#cache.blocks - this.#cache.unused,
      reservedBlocks: this.#reservedBlocks,
      cachedBlocks: this.#cache.findable,
      residentAdapters: this.#adapters.resident(),
      heldBackMs: this.#heldBackMs,
    };
  }

  gauges(): EngineGauges {
    return {
      runningRequests: this.#running.length,
      waitingRequests: this.#waiting.length,
      kvUsage: (this.#cache.blocks - this.#cache.unused) / this.#cache.blocks,
      runningAdapters: this.#params.maxResidentAdapters > 0 ? this.#adapters.running() : noAdapters,
      waitingAdapters: this.#params.maxResidentAdapters > 0 ? this.#adapters.waiting() : noAdapters,
    };
  }

  #blocksFor(promptTokens: number, answerTokens: number): number {
    // The last token of an answer is never stored.
    return Math.ceil((promptTokens + answerTokens - 1) / this.#params.blockTokens);
  }

  #setAlarm(): void {
    if (this.#busy && !this.#stopped) this.#alarm.set(this.#stepEndMs);
  }

  #wake(): void {
    const nowMs = this.#clock.nowMs();
    for (let steps = 0; steps < stepsPerWake && this.#busy && this.#stepEndMs <= nowMs && !this.#stopped; steps += 1) {
      this.#endStep(this.#stepEndMs);
      this.#startStep(this.#stepEndMs);
    }
    const lagMs = nowMs - this.#stepEndMs;
    if (this.#busy && lagMs > this.#params.maxLagMs) {
      this.#heldBackMs += lagMs;
      this.#stepEndMs = nowMs;
    }
    this.#setAlarm();
  }

  #startStep(earliestMs: number): void {
    this.#dropAborted(earliestMs);
    const head = this.#waiting.first;
    // A late timer can end a step, in nominal time, before the next request arrived.
    const startMs =
      this.#running.length === 0 && head !== undefined ? Math.max(earliestMs, head.arrivedMs) : earliestMs;
    this.#stepPromptTokens = 0;
    let budget = this.#params.maxStepTokens;
    let stepMs = 0;
    let decoding = 0;
    let contextTokens = 0;
    for (const sequence of this.#running) {
      sequence.part = "none";
      if (budget === 0) continue;
      if (sequence.computedTokens < sequence.request.promptTokens) {
        const tokens = Math.min(budget, sequence.request.promptTokens - sequence.computedTokens);
        budget -= tokens;
        stepMs += this.#prefill(sequence, tokens);
        continue;
      }
      this.#storeToken(sequence);
      budget -= 1;
      decoding += 1;
      contextTokens += sequence.request.promptTokens + sequence.producedTokens;
    }
    for (let next = head; next !== undefined && budget > 0; ) {
      if (this.#running.length >= this.#params.maxRunningRequests || next.arrivedMs > startMs) break;
      const sequence = next;
      next = next.nextWaiting;
      const adapter = sequence.request.adapter;
      // One that waits for an adapter's place lets others pass; one that waits for blocks does not.
      if (adapter !== undefined && !this.#adapters.canStart(adapter)) continue;
      if (!this.#admit(sequence, startMs)) break;
      if (adapter !== undefined) {
        this.#adapters.addWaiting(adapter, -1);
        if (this.#adapters.start(adapter)) stepMs += this.#params.adapterLoadMs;
      }
      const tokens = Math.min(budget, sequence.request.promptTokens - sequence.computedTokens);
      budget -= tokens;
      stepMs += this.#prefill(sequence, tokens);
    }
    this.#busy = this.#running.length > 0;
    // No step will end that could show that the last requests are gone.
    if (!this.#busy) this.#observer.onGauges(this.gauges());
    stepMs += decodeMs(this.#params.latency, decoding, contextTokens);
    this.#stepEndMs = startMs + stepMs * this.#slowFactor;
  }

  /** Moves a waiting request into the batch with all blocks it will need. False when they are not free. */
  #admit(sequence: Sequence, atMs: number): boolean {
    const { promptTokens, promptKeys, answer } = sequence.request;
    const { blockTokens } = this.#params;
    // At least one prompt token has to be computed to get the first answer token.
    const hits = this.#cache.countHits(promptKeys, Math.floor((promptTokens - 1) / blockTokens));
    const needed = this.#blocksFor(promptTokens, answer.tokens);
    const free = this.#cache.unused - this.#cache.countUnused(promptKeys, hits) - this.#reservedBlocks;
    if (free < needed - hits) return false;
    this.#waiting.remove(sequence);
    for (let i = 0; i < hits; i += 1) sequence.blocks.push(this.#cache.share(promptKeys[i] ?? 0));
    const promptBlocks = Math.ceil(promptTokens / blockTokens);
    while (sequence.blocks.length < promptBlocks) sequence.blocks.push(this.#cache.take());
    sequence.reservedBlocks = needed - sequence.blocks.length;
    this.#reservedBlocks += sequence.reservedBlocks;
    sequence.cachedTokens = hits * blockTokens;
    sequence.computedTokens = sequence.cachedTokens;
    this.#receive(sequence);
    sequence.state = "running";
    sequence.scheduledMs = atMs;
    this.#running.push(sequence);
    this.#observer.onScheduled(sequence);
    return true;
  }

  /** Fills blocks with what another server has sent, so that it is not computed here, and others can share it. */
  #receive(sequence: Sequence): void {
    const { receivedTokens = 0, promptTokens, promptKeys } = sequence.request;
    const received = Math.min(receivedTokens, promptTokens - 1);
    if (received <= sequence.computedTokens) return;
    const { blockTokens } = this.#params;
    const firstBlock = Math.floor(sequence.computedTokens / blockTokens);
    for (let i = firstBlock; i < Math.floor(received / blockTokens); i += 1) {
      this.#cache.publish(sequence.blocks[i] ?? 0, promptKeys[i] ?? 0);
    }
    sequence.cachedTokens = received;
    sequence.computedTokens = received;
  }

  /** Puts prompt tokens into the step. Others can share the blocks they fill from then on. */
  #prefill(sequence: Sequence, tokens: number): number {
    const { blockTokens, latency } = this.#params;
    const ms = prefillMs(latency, sequence.computedTokens, tokens);
    const firstBlock = Math.floor(sequence.computedTokens / blockTokens);
    sequence.computedTokens += tokens;
    const endBlock = Math.floor(sequence.computedTokens / blockTokens);
    for (let i = firstBlock; i < endBlock; i += 1) {
      this.#cache.publish(sequence.blocks[i] ?? 0, sequence.request.promptKeys[i] ?? 0);
    }
    sequence.part = "prefill";
    this.#stepPromptTokens += tokens;
    return ms;
  }

  /** Gives the token of the sequence's previous step its place in the cache. */
  #storeToken(sequence: Sequence): void {
    const { request, producedTokens, blocks } = sequence;
    const stored = request.promptTokens + producedTokens;
    if (stored > blocks.length * this.#params.blockTokens) {
      blocks.push(this.#cache.take());
      sequence.reservedBlocks -= 1;
      this.#reservedBlocks -= 1;
    }
    const key = request.hasher.add(request.answer.tokenId(producedTokens - 1));
    if (key !== undefined) this.#cache.publish(blocks[blocks.length - 1] ?? 0, key);
    sequence.part = "decode";
  }

  #endStep(atMs: number): void {
    const running = this.#running;
    const progressed = this.#progressed;
    let kept = 0;
    for (const sequence of running) {
      const hasToken =
        sequence.state === "running" &&
        sequence.part !== "none" &&
        sequence.computedTokens === sequence.request.promptTokens;
      if (hasToken) {
        const sinceMs = sequence.lastTokenMs ?? sequence.arrivedMs;
        sequence.producedTokens += 1;
        sequence.firstTokenMs ??= atMs;
        sequence.lastTokenMs = atMs;
        this.#observer.onToken(sequence, sinceMs);
        progressed.push(sequence);
        if (sequence.producedTokens === sequence.request.answer.tokens) {
          sequence.state = "finished";
          this.#open.delete(sequence);
          if (sequence.request.keepsBlocks === true) {
            const promptBlocks = Math.ceil(sequence.request.promptTokens / this.#params.blockTokens);
            sequence.promptBlocks = sequence.blocks.slice(0, promptBlocks);
          }
          this.#free(sequence);
          this.#observer.onEnd(sequence, atMs);
          continue;
        }
      }
      running[kept] = sequence;
      kept += 1;
    }
    running.length = kept;
    this.#dropAborted(atMs);
    this.#observer.onStep(this.#stepPromptTokens, progressed.length);
    this.#observer.onGauges(this.gauges());
    for (const sequence of progressed) this.#tell(sequence);
    progressed.length = 0;
  }

  #dropAborted(atMs: number): void {
    const running = this.#running;
    let kept = 0;
    for (const sequence of running) {
      if (sequence.state === "aborted") {
        this.#free(sequence);
        this.#observer.onEnd(sequence, atMs);
      } else {
        running[kept] = sequence;
        kept += 1;
      }
    }
    running.length = kept;
  }

  #free(sequence: Sequence): void {
    this.#cache.release(sequence.blocks);
    sequence.blocks.length = 0;
    this.#reservedBlocks -= sequence.reservedBlocks;
    sequence.reservedBlocks = 0;
    if (sequence.request.adapter !== undefined) this.#adapters.finish(sequence.request.adapter);
  }

  #tell(sequence: Sequence): void {
    try {
      if (sequence.state === "aborted") return;
      sequence.listener.onToken?.(sequence);
      if (sequence.state === "finished") sequence.listener.onFinish(sequence);
    } catch (error: unknown) {
      this.abort(sequence);
      this.#observer.onListenerError(error);
    }
  }
}
