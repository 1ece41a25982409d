import { EndpointSpeed } from "./endpoint-speed.ts";
import { attentionPairs, type PoolModel } from "./pool-model.ts";
import { roundedValues } from "./rounded-values.ts";
import { RunningMean } from "./running-mean.ts";

/**
 * A first token that comes after another in less than this share of the time that computing its prompt takes was computed
 * in the same step of the engine, and seen a little later.
 */
const sameStepShare = 0.5;
/** Time in which a difference between own count and scraped count is averaged out. */
const foreignMemoryMs = 2000;
/** Time over which the usual context of an endpoint is averaged. */
const usualMemoryMs = 30_000;
/** Loads are noted at most this often. */
const notedEveryMs = 50;
/** Time over which the share of prompts in an endpoint's time is averaged. */
const shareMemoryMs = 120_000;
/** Most of the time that prompts are taken to need. */
const maxPrefillShare = 0.8;
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
  /** Context of those who decoded meanwhile. */
  readonly contextTokens: number;
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
  #usualContextTokens = 0;
  #usualPresent = 0;
  /** Share of its time that the endpoint computes prompts, and what it had done of them when that was noted. */
  #prefillShare = 0;
  #notedPrefillMs = 0;
  #usualAtMs = Number.NEGATIVE_INFINITY;
  /** Since when the oldest pending prompt can be computed. */
  #headSinceMs = 0;
  /** Milliseconds of prefill the endpoint has done, as expected. */
  #prefillDoneMs = 0;
  /** How fast the endpoint proves to be. */
  readonly speed: EndpointSpeed;
  #step: PrefillStep | undefined;
  /** Requests of others: scraped count less own count, averaged over time. */
  #foreign = 0;
  #foreignAtMs: number | undefined;
  #foreignWaiting = 0;
  /** Share of the tokens expected in the cache that were there, where the engine reports it. */
  readonly #cacheTrust: RunningMean = new RunningMean(1, 50);

  constructor(model: PoolModel) {
    this.#model = model;
    this.speed = new EndpointSpeed((endpoints, prefillLog, stepLog) =>
      model.noteSpeeds(endpoints, prefillLog, stepLog),
    );
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

  /** Tokens of the requests that decode: of their prompts, and as much of their answers as there is on average. */
  get contextTokens(): number {
    const foreign = this.#foreign - this.#foreignWaiting;
    return (
      this.#contextTokens +
      foreign * this.#model.meanPromptTokens +
      (this.#decoding + foreign) * this.#model.halfAnswerTokens
    );
  }

  get decoding(): number {
    return this.#decoding + this.#foreign - this.#foreignWaiting;
  }

  /** The same on average over the last half minute. */
  get usualContextTokens(): number {
    return this.#usualContextTokens;
  }

  /** Requests on the endpoint, on average over the last half minute. */
  get usualPresent(): number {
    return this.#usualPresent;
  }

  /** How much longer answers take because prompts are computed in between. */
  get stretch(): number {
    return 1 / (1 - Math.min(maxPrefillShare, this.#prefillShare));
  }

  /** Follows the load that the endpoint usually has. */
  noteLoad(nowMs: number): void {
    const elapsedMs = nowMs - this.#usualAtMs;
    if (elapsedMs < notedEveryMs) return;
    this.#usualAtMs = nowMs;
    if (elapsedMs === Number.POSITIVE_INFINITY) return;
    const gain = elapsedMs / (usualMemoryMs + elapsedMs);
    this.#prefillShare +=
      (this.#prefillDoneMs - this.#notedPrefillMs - elapsedMs * this.#prefillShare) / (shareMemoryMs + elapsedMs);
    this.#notedPrefillMs = this.#prefillDoneMs;
    this.#usualPresent += gain * (this.present - this.#usualPresent);
    this.#usualContextTokens += gain * (this.contextTokens - this.#usualContextTokens);
  }

  /** Milliseconds until the prompts that are there are computed. */
  backlogMs(nowMs: number): number {
    if (this.#silent > 0) this.#passSilentPrefills(nowMs);
    const foreignMs = this.#foreignWaiting * this.#model.meanPrefillMs * this.speed.prefill;
    if (this.#queued === 0) return foreignMs;
    const leftMs = this.#pendingMs * this.speed.prefill - Math.max(0, nowMs - this.#headSinceMs);
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
    this.#foreign += (elapsedMs / (foreignMemoryMs + elapsedMs)) * (Math.max(-1, difference) - this.#foreign);
    // A count that is late with our own requests is below ours now and then; less than nobody is nobody.
    this.#foreign = Math.max(0, this.#foreign);
    this.#foreignWaiting = total === 0 ? 0 : (this.#foreign * waiting) / total;
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
    const { contextTokens } = this;
    const tokens = dispatch.uncachedTokens;
    const pairs = attentionPairs(tokens, dispatch.plan.cachedTokens);
    const step = this.#step;
    this.#decode(dispatch, nowMs);
    if (step !== undefined && nowMs - step.endMs < sameStepShare * this.#expectedMs(tokens, pairs, contextTokens)) {
      step.tokens += tokens;
      step.pairs += pairs;
      return;
    }
    this.#learnSpeed(nowMs);
    this.#step = { startMs, endMs: nowMs, contextTokens, tokens, pairs };
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
        if (stepMs > 0) this.#learnStep((dispatch.contextTokens + this.contextTokens) / 2, stepMs, outputTokens, nowMs);
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
    const { present, foreign, cacheTrust, speed } = this;
    const { prefill: slowness, step: stepSlowness } = speed;
    return roundedValues({ slowness, stepSlowness, present, foreign, backlogMs: this.backlogMs(nowMs), cacheTrust });
  }

  /** Where no first token is seen, a prompt counts as computed when it should be. */
  #passSilentPrefills(nowMs: number): void {
    for (;;) {
      const head = this.#pending[0];
      if (head === undefined || head.plan.streams) return;
      const dueMs = Math.max(head.plan.sentAtMs, this.#headSinceMs) + head.plan.prefillMs * this.speed.prefill;
      if (dueMs > nowMs) return;
      this.#decode(head, dueMs);
    }
  }

  #decode(dispatch: Dispatch, atMs: number): void {
    this.#removePending(dispatch);
    this.#headSinceMs = atMs;
    this.#decoding++;
    this.#contextTokens += dispatch.plan.promptTokens;
    this.#prefillDoneMs += dispatch.plan.prefillMs * this.speed.prefill;
    dispatch.state = "decoding";
    dispatch.firstTokenAtMs = atMs;
    dispatch.prefillDoneMs = this.#prefillDoneMs;
    dispatch.contextTokens = this.contextTokens;
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

  /** Time that a step with prompts is expected to take here. */
  #expectedMs(uncachedTokens: number, pairs: number, contextTokens: number): number {
    const { speed } = this;
    const model = this.#model;
    return model.sharedMs(contextTokens) * speed.step + model.pairedMs(uncachedTokens, pairs) * speed.prefill;
  }

  /** Learns from the last step with prefills, all of whose first tokens are known once a later one comes. */
  #learnSpeed(nowMs: number): void {
    const step = this.#step;
    if (step === undefined) return;
    const ms = step.endMs - step.startMs;
    if (!(ms > 0)) return;
    const { speed } = this;
    const model = this.#model;
    const prefillMs = model.pairedMs(step.tokens, step.pairs) * speed.prefill;
    const expectedMs = model.sharedMs(step.contextTokens) * speed.step + prefillMs;
    if (!(expectedMs > 0)) return;
    const prefillShare = prefillMs / expectedMs;
    const noise = model.prefillNoiseMs(expectedMs) / expectedMs;
    const factor =
      (prefillShare * speed.prefill) / model.usualPrefill + ((1 - prefillShare) * speed.step) / model.usualStep;
    speed.observe(Math.log(ms / expectedMs), prefillShare, noise, nowMs);
    model.learnPrefill(step.tokens, step.pairs, step.contextTokens, ms / factor);
  }

  /** Learns from the steps of an answer. */
  #learnStep(contextTokens: number, ms: number, answerTokens: number, nowMs: number): void {
    const { speed } = this;
    const model = this.#model;
    const expectedMs = model.stepMs(contextTokens) * speed.step;
    if (!(expectedMs > 0)) return;
    const factor = speed.step / model.usualStep;
    speed.observe(Math.log(ms / expectedMs), 0, model.stepNoiseMs(expectedMs, answerTokens) / expectedMs, nowMs);
    model.learnStep(contextTokens, ms / factor, answerTokens);
  }
}
