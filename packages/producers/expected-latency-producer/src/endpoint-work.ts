import type { PoolModel } from "./pool-model.ts";

/** One request on an endpoint, from its decision to the end of its answer. */
export interface Dispatch {
  readonly work: EndpointWork;
  readonly promptTokens: number;
  readonly uncachedTokens: number;
  readonly cachedTokens: number;
  /** Expected cost of its prompt when it was sent. */
  readonly prefillMs: number;
  readonly expectedTtftMs: number;
  readonly sentAtMs: number;
  firstTokenAtMs: number | undefined;
  /** Prefill done on the endpoint when the first token came, and context then. */
  prefillDoneMs: number;
  contextTokens: number;
}

/** First tokens closer together than this come from one step. */
const sameStepMs = 2;
/** Own observations that weigh as much as the assumption that all endpoints are equally fast. */
const priorWeight = 5;

/** What is sent to one endpoint and not finished, and how fast it proves to be. */
export class EndpointWork {
  readonly #model: PoolModel;
  /** Sent, no token yet; oldest first. */
  readonly #pending: Dispatch[] = [];
  #pendingMs = 0;
  pendingTokens = 0;
  decoding = 0;
  /** Prompt tokens of what decodes. */
  contextTokens = 0;
  /** Since when the oldest pending request has had the endpoint's prefill for itself. */
  #headSinceMs = 0;
  /** Expected milliseconds of prefill that the endpoint has done since it is known. */
  prefillDoneMs = 0;
  /** Logarithm of how much slower it is than the pool, and the weight of what is known about it. */
  #slowness = 0;
  #slownessWeight = 0;
  /** The prefills of one step, until the next step's are known. */
  #step: { startMs: number; endMs: number; tokens: number; pairs: number; count: number } | undefined;

  constructor(model: PoolModel) {
    this.#model = model;
  }

  get present(): number {
    return this.#pending.length + this.decoding;
  }

  get pending(): number {
    return this.#pending.length;
  }

  /** Factor on the pool's times. */
  get factor(): number {
    return Math.exp(this.#slowness);
  }

  /** Milliseconds until the prompts sent before are computed. */
  backlogMs(nowMs: number): number {
    if (this.#pending.length === 0) return 0;
    const elapsedMs = Math.max(0, nowMs - this.#headSinceMs);
    const leftMs = this.#pendingMs * this.factor - elapsedMs;
    // What is late is expected to take as long again as it is late: a stalled server looks worse each moment.
    return leftMs >= 0 ? leftMs : -leftMs;
  }

  send(dispatch: Dispatch): void {
    if (this.#pending.length === 0) this.#headSinceMs = dispatch.sentAtMs;
    this.#pending.push(dispatch);
    this.#pendingMs += dispatch.prefillMs;
    this.pendingTokens += dispatch.uncachedTokens;
  }

  /** The first token came. */
  firstToken(dispatch: Dispatch, nowMs: number): void {
    if (!this.#removePending(dispatch)) return;
    const startMs = Math.max(dispatch.sentAtMs, this.#headSinceMs);
    this.#headSinceMs = nowMs;
    this.decoding++;
    this.contextTokens += dispatch.promptTokens;
    this.prefillDoneMs += dispatch.prefillMs * this.factor;
    dispatch.firstTokenAtMs = nowMs;
    dispatch.prefillDoneMs = this.prefillDoneMs;
    dispatch.contextTokens = this.contextTokens;
    const { uncachedTokens, cachedTokens } = dispatch;
    const pairs = uncachedTokens * (cachedTokens + uncachedTokens / 2);
    const step = this.#step;
    if (step !== undefined && nowMs - step.endMs < sameStepMs) {
      step.tokens += uncachedTokens;
      step.pairs += pairs;
      step.count++;
      return;
    }
    this.#learnStep();
    this.#step = { startMs, endMs: nowMs, tokens: uncachedTokens, pairs, count: 1 };
  }

  /** The answer ended, or the request did without one. */
  end(dispatch: Dispatch, outputTokens: number | undefined, nowMs: number): void {
    if (dispatch.firstTokenAtMs === undefined) {
      this.#removePending(dispatch);
      this.#headSinceMs = nowMs;
      return;
    }
    if (outputTokens !== undefined && outputTokens > 8) {
      const prefillMs = this.prefillDoneMs - dispatch.prefillDoneMs;
      const ms = (nowMs - dispatch.firstTokenAtMs - prefillMs) / (outputTokens - 1);
      const context = (dispatch.contextTokens + this.contextTokens) / 2;
      if (ms > 0) this.#model.learnStep(context, ms / this.factor);
    }
    this.decoding--;
    this.contextTokens -= dispatch.promptTokens;
  }

  #removePending(dispatch: Dispatch): boolean {
    const index = this.#pending.indexOf(dispatch);
    if (index === -1) return false;
    this.#pending.splice(index, 1);
    this.#pendingMs = this.#pending.length === 0 ? 0 : this.#pendingMs - dispatch.prefillMs;
    this.pendingTokens -= dispatch.uncachedTokens;
    return true;
  }

  #learnStep(): void {
    const step = this.#step;
    if (step === undefined) return;
    const ms = step.endMs - step.startMs;
    const { factor } = this;
    const expectedMs = this.#model.fixedMs + this.#model.prefill(1, 0) * step.tokens + 0;
    this.#model.learnPrefill(step.tokens, step.pairs, ms / factor);
    if (ms > 0 && expectedMs > 0) {
      const ratio = Math.min(3, Math.max(-3, Math.log(ms / (expectedMs * factor))));
      this.#slownessWeight = Math.min(50, this.#slownessWeight + 1);
      this.#slowness += ratio / (this.#slownessWeight + priorWeight);
    }
  }
}
