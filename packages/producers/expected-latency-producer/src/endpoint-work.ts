import { attentionPairs, type PoolModel } from "./pool-model.ts";
import { roundedValues } from "./rounded-values.ts";
import { RunningMean } from "./running-mean.ts";

/** First tokens closer together than this come from one step of the engine. */
const sameStepMs = 2;
/** Observations that weigh as much as the assumption that all endpoints are equally fast. */
const priorObservations = 5;
/** Observations after which older ones fade. */
const memoryObservations = 50;
/**
 * No single observation says that an endpoint is more than e = 2.7 times faster or slower: a picker or an engine that
 * stands still for a moment makes times that say nothing of speed.
 */
const maxLogRatio = 1;
/** An endpoint of which nothing is observed for this long, */
const fadeAfterMs = 10_000;
/** is taken to be as fast as the others more and more: else one that looked slow gets no request and looks so for good. */
const fadeMs = 30_000;
/** All observations together say no more than e⁵ = 150 times. */
const maxLogSlowness = 5;
/** Time in which a difference between own count and scraped count is averaged out. */
const foreignMemoryMs = 2000;
/** Answers shorter than this say little about the time of a step. */
const minStepTokens = 8;
/** An engine that says it has more requests is not believed. */
const maxRequests = 1e6;

/** What a decision expects of a request. */
export interface DispatchPlan {
  readonly promptTokens: number;
  readonly cachedTokens: number;
  /** Cost of the prompt on an endpoint of usual speed. */
  readonly prefillMs: number;
  readonly ttftMs: number;
  readonly sentAtMs: number;
  /** Whether the first token will be seen. An answer that is no stream comes as a whole. */
  readonly streams: boolean;
}

/** One request on an endpoint, from its decision to the end of its answer. */
export class Dispatch {
  readonly plan: DispatchPlan;
  readonly work: EndpointWork;
  state: "pending" | "decoding" | "over" = "pending";
  firstTokenAtMs = 0;
  /** Prefill done on the endpoint, and context on it, when the first token came. */
  prefillDoneMs = 0;
  contextTokens = 0;

  constructor(work: EndpointWork, plan: DispatchPlan) {
    this.work = work;
    this.plan = plan;
  }

  get uncachedTokens(): number {
    return this.plan.promptTokens - this.plan.cachedTokens;
  }
}

/** Prompts whose first tokens came from one step. */
interface PrefillStep {
  readonly startMs: number;
  readonly endMs: number;
  tokens: number;
  pairs: number;
}

/**
 * What was sent to one endpoint and has not ended, counted at the moment of each decision, and how fast the endpoint proves
 * to be. Engines compute prompts in order of arrival, so what was sent and has no token yet is a queue.
 */
export class EndpointWork {
  readonly #model: PoolModel;
  /** Oldest first. */
  readonly #pending: Dispatch[] = [];
  /** Their number, and that of those whose first token nobody sees: what each decision asks of each endpoint lies here. */
  #queued = 0;
  #silent = 0;
  #pendingMs = 0;
  #pendingTokens = 0;
  #decoding = 0;
  #contextTokens = 0;
  /** Since when the oldest pending prompt can be computed. */
  #headSinceMs = 0;
  /** Milliseconds of prefill the endpoint has done, as expected. */
  #prefillDoneMs = 0;
  /** How much slower than the pool the endpoint is, and its logarithm. */
  #slowness = 1;
  #logSlowness = 0;
  #observations = 0;
  /** Last observation, or how far what was observed has faded. */
  #observedAtMs = 0;
  #step: PrefillStep | undefined;
  /** Requests of others: scraped count less own count, averaged over time. */
  #foreign = 0;
  #foreignAtMs: number | undefined;
  #foreignWaiting = 0;
  /** Share of the tokens expected in the cache that were there, where the engine reports it. */
  readonly #cacheTrust: RunningMean = new RunningMean(1, 50);

  constructor(model: PoolModel) {
    this.#model = model;
  }

  /** Factor on the pool's times. */
  get slowness(): number {
    return this.#slowness;
  }

  get cacheTrust(): number {
    return this.#cacheTrust.value;
  }

  /** Requests of others, as far as the engine's count tells. */
  get foreign(): number {
    return this.#foreign;
  }

  /** Requests on the endpoint, those of others included. */
  get present(): number {
    return this.#queued + this.#decoding + this.#foreign;
  }

  /** Prompt tokens on their way into the cache. */
  get pendingTokens(): number {
    return this.#pendingTokens + this.#foreignWaiting * this.#model.meanPromptTokens;
  }

  /** Prompt tokens of the requests that decode. */
  get contextTokens(): number {
    return this.#contextTokens + (this.#foreign - this.#foreignWaiting) * this.#model.meanPromptTokens;
  }

  get decoding(): number {
    return this.#decoding + this.#foreign - this.#foreignWaiting;
  }

  /** Milliseconds until the prompts that are there are computed. */
  backlogMs(nowMs: number): number {
    if (this.#silent > 0) this.#passSilentPrefills(nowMs);
    const foreignMs = this.#foreignWaiting * this.#model.meanPrefillMs * this.slowness;
    if (this.#queued === 0) return foreignMs;
    const leftMs = this.#pendingMs * this.slowness - Math.max(0, nowMs - this.#headSinceMs);
    // What is late is expected to take as long again as it is late already: a stalled endpoint looks worse each moment.
    return foreignMs + Math.abs(leftMs);
  }

  /** Compares the engine's own count of requests with what was sent from here. Numbers that are no counts are passed over. */
  scraped(running: number, waiting: number, nowMs: number): void {
    const total = running + waiting;
    if (!(running >= 0 && waiting >= 0 && total <= maxRequests)) return;
    const difference = total - this.#queued - this.#decoding;
    const elapsedMs = this.#foreignAtMs === undefined ? 0 : nowMs - this.#foreignAtMs;
    this.#foreignAtMs = nowMs;
    this.#foreign += (1 - Math.exp(-elapsedMs / foreignMemoryMs)) * (Math.max(-1, difference) - this.#foreign);
    // A count that is late with our own requests is below ours now and then; less than nobody is nobody.
    this.#foreign = Math.max(0, this.#foreign);
    this.#foreignWaiting = total === 0 ? 0 : (this.#foreign * waiting) / total;
  }

  /** Lets what was observed long ago fade. */
  fade(nowMs: number): void {
    const elapsedMs = nowMs - this.#observedAtMs - fadeAfterMs;
    if (elapsedMs <= 0 || this.#observations === 0) return;
    const kept = Math.exp(-elapsedMs / fadeMs);
    this.#observedAtMs = nowMs - fadeAfterMs;
    this.#observations *= kept;
    this.#logSlowness *= kept;
    this.#slowness = Math.exp(this.#logSlowness);
  }

  send(plan: DispatchPlan): Dispatch {
    const dispatch = new Dispatch(this, plan);
    if (this.#queued === 0) this.#headSinceMs = plan.sentAtMs;
    this.#pending.push(dispatch);
    this.#queued++;
    if (!plan.streams) this.#silent++;
    this.#pendingMs += plan.prefillMs;
    this.#pendingTokens += dispatch.uncachedTokens;
    return dispatch;
  }

  /** Notes a request's first token. */
  firstToken(dispatch: Dispatch, nowMs: number): void {
    if (dispatch.state !== "pending") return;
    const startMs = Math.max(dispatch.plan.sentAtMs, this.#headSinceMs);
    this.#decode(dispatch, nowMs);
    const tokens = dispatch.uncachedTokens;
    const pairs = attentionPairs(tokens, dispatch.plan.cachedTokens);
    const step = this.#step;
    if (step !== undefined && nowMs - step.endMs < sameStepMs) {
      step.tokens += tokens;
      step.pairs += pairs;
      return;
    }
    this.#learnSpeed(nowMs);
    this.#step = { startMs, endMs: nowMs, tokens, pairs };
  }

  /** Notes the end of an answer, or of a request without one. `outputTokens` is `undefined` when not known. */
  end(dispatch: Dispatch, outputTokens: number | undefined, nowMs: number): void {
    const { state } = dispatch;
    dispatch.state = "over";
    if (state === "pending") {
      // The next one can be computed from now on; behind others, nothing changes for them.
      if (this.#pending[0] === dispatch) this.#headSinceMs = nowMs;
      this.#removePending(dispatch);
    } else if (state === "decoding") {
      if (dispatch.plan.streams && outputTokens !== undefined && outputTokens >= minStepTokens) {
        const prefillMs = this.#prefillDoneMs - dispatch.prefillDoneMs;
        const stepMs = (nowMs - dispatch.firstTokenAtMs - prefillMs) / (outputTokens - 1);
        const context = (dispatch.contextTokens + this.#contextTokens) / 2;
        if (stepMs > 0) this.#model.learnStep(context, stepMs / this.slowness);
      }
      this.#decoding--;
      this.#contextTokens -= dispatch.plan.promptTokens;
    }
  }

  /** Notes how many of the tokens expected in the cache were there. */
  learnCache(expectedTokens: number, foundTokens: number): void {
    if (expectedTokens > 0) this.#cacheTrust.add(Math.max(0, Math.min(1, foundTokens / expectedTokens)));
  }

  /** The record for people who debug. */
  dump(nowMs: number): { readonly [name: string]: number } {
    const { slowness, present, foreign, cacheTrust } = this;
    return roundedValues({ slowness, present, foreign, backlogMs: this.backlogMs(nowMs), cacheTrust });
  }

  /** Where no first token is seen, a prompt counts as computed when it should be. */
  #passSilentPrefills(nowMs: number): void {
    for (;;) {
      const head = this.#pending[0];
      if (head === undefined || head.plan.streams) return;
      const dueMs = Math.max(head.plan.sentAtMs, this.#headSinceMs) + head.plan.prefillMs * this.slowness;
      if (dueMs > nowMs) return;
      this.#decode(head, dueMs);
    }
  }

  #decode(dispatch: Dispatch, atMs: number): void {
    this.#removePending(dispatch);
    this.#headSinceMs = atMs;
    this.#decoding++;
    this.#contextTokens += dispatch.plan.promptTokens;
    this.#prefillDoneMs += dispatch.plan.prefillMs * this.slowness;
    dispatch.state = "decoding";
    dispatch.firstTokenAtMs = atMs;
    dispatch.prefillDoneMs = this.#prefillDoneMs;
    dispatch.contextTokens = this.#contextTokens;
  }

  #removePending(dispatch: Dispatch): void {
    const index = this.#pending.indexOf(dispatch);
    if (index === -1) return;
    this.#pending.splice(index, 1);
    this.#queued--;
    if (!dispatch.plan.streams) this.#silent--;
    // Sums of many terms drift; an empty queue sets them right.
    this.#pendingMs = this.#queued === 0 ? 0 : this.#pendingMs - dispatch.plan.prefillMs;
    this.#pendingTokens = this.#queued === 0 ? 0 : this.#pendingTokens - dispatch.uncachedTokens;
  }

  /** Learns from the last step with prefills, all of whose first tokens are known once a later one comes. */
  #learnSpeed(nowMs: number): void {
    const step = this.#step;
    if (step === undefined) return;
    const ms = step.endMs - step.startMs;
    if (!(ms > 0)) return;
    const ratio = Math.log(ms / (this.#model.expectedPrefillMs(step.tokens, step.pairs) * this.slowness));
    this.#model.learnPrefill(step.tokens, step.pairs, ms / this.slowness);
    this.#observations = Math.min(memoryObservations, this.#observations + 1);
    this.#observedAtMs = nowMs;
    const moved = this.#logSlowness + bounded(ratio, maxLogRatio) / (this.#observations + priorObservations);
    this.#logSlowness = bounded(moved, maxLogSlowness);
    this.#slowness = Math.exp(this.#logSlowness);
  }
}

function bounded(value: number, limit: number): number {
  return Math.min(limit, Math.max(-limit, value));
}
