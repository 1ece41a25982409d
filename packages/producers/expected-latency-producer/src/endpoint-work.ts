import { EndpointSpeed } from "./endpoint-speed.ts";
import { attentionPairs, type PoolModel } from "./pool-model.ts";
import { roundedValues } from "./rounded-values.ts";
import { RunningMean } from "./running-mean.ts";
import { WorkTable } from "./work-table.ts";

/**
 * A first token that comes after another in less than this share of the time that computing its prompt takes was computed
 * in the same step of the engine, and seen a little later.
 */
const sameStepShare = 0.5;
/** Time over which the usual context of an endpoint is averaged. */
const usualMemoryMs = 30_000;
/** Time over which content that was new is remembered. */
const newMemoryMs = 600_000;
/** A record follows the time at most this often, unless it has prompts whose first token nobody sees. */
const followedEveryMs = 50;
/** Time over which the share of prompts in an endpoint's time is averaged. */
const shareMemoryMs = 120_000;
/** Most of the time that prompts are taken to need. */
const maxPrefillShare = 0.8;
/** Answers shorter than this say little about the time of a step. */
const minStepTokens = 8;

/** What a decision expects of a request. */
export interface DispatchPlan {
  readonly promptTokens: number;
  readonly cachedTokens: number;
  /** Prompt tokens that no endpoint is known to hold. */
  readonly newTokens: number;
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
  /** Where the numbers lie that each decision asks for. */
  #table: WorkTable;
  #row: number;
  /** Oldest first. */
  readonly #pending: Dispatch[] = [];
  /** Those of them whose first token nobody sees. */
  #silent = 0;
  /** Share of its time that the endpoint computes prompts, and what it had done of them when that was noted. */
  #prefillShare = 0;
  #notedPrefillMs = 0;
  #usualAtMs = Number.NEGATIVE_INFINITY;
  /** Milliseconds of prefill the endpoint has done, as expected. */
  #prefillDoneMs = 0;
  /** How fast the endpoint proves to be. */
  readonly #speed: EndpointSpeed;
  #step: PrefillStep | undefined;
  /** Share of the tokens expected in the cache that were there, where the engine reports it. */
  readonly #cacheTrust: RunningMean = new RunningMean(1, 50);

  /** Its numbers get a row in `table`. */
  constructor(model: PoolModel, table: WorkTable = new WorkTable()) {
    this.#model = model;
    this.#table = table;
    this.#row = table.add();
    this.#speed = new EndpointSpeed((endpoints, prefillLog, stepLog) =>
      model.noteSpeeds(endpoints, prefillLog, stepLog),
    );
  }

  get row(): number {
    return this.#row;
  }

  get table(): WorkTable {
    return this.#table;
  }

  /** Takes its numbers to another table. */
  moveTo(table: WorkTable): void {
    this.#row = this.#table.move(this.#row, table);
    this.#table = table;
  }

  /** The endpoint counts no longer for what is usual in the pool. */
  forgetSpeed(): void {
    this.#speed.forget();
  }

  get speed(): Readonly<Pick<EndpointSpeed, "prefill" | "step">> {
    return this.#speed;
  }

  get cacheTrust(): number {
    return this.#cacheTrust.value;
  }

  /** Requests of others, as far as the engine's count tells. */
  get foreign(): number {
    return this.#table.foreign[this.#row]!;
  }

  /** Of {@link WorkTable.present}. */
  get present(): number {
    return this.#table.present(this.#row);
  }

  /** Of {@link WorkTable.pendingTokens}. */
  get pendingTokens(): number {
    return this.#table.pendingTokens(this.#row, this.#model);
  }

  /** Of {@link WorkTable.contextTokens}. */
  get contextTokens(): number {
    return this.#table.contextTokens(this.#row, this.#model);
  }

  get decoding(): number {
    return this.#table.decoding[this.#row]! + this.foreign - this.#table.foreignWaiting[this.#row]!;
  }

  /** The context on average over the last half minute. */
  get usualContextTokens(): number {
    return this.#table.usualContextTokens[this.#row]!;
  }

  /** Requests on the endpoint, on average over the last half minute. */
  get usualPresent(): number {
    return this.#table.usualPresent[this.#row]!;
  }

  get stretch(): number {
    return this.#table.stretch[this.#row]!;
  }

  /** Follows the time: prompts that should be computed by now, the load that the endpoint usually has, its speed. */
  follow(nowMs: number): void {
    if (this.#silent > 0) this.#passSilentPrefills(nowMs);
    this.#noteLoad(nowMs);
    this.#speed.fade(nowMs);
    this.#speedChanged();
    this.#table.dueMs[this.#row] = this.#silent > 0 ? Number.NEGATIVE_INFINITY : nowMs + followedEveryMs;
  }

  #noteLoad(nowMs: number): void {
    const elapsedMs = nowMs - this.#usualAtMs;
    if (elapsedMs < followedEveryMs) return;
    this.#usualAtMs = nowMs;
    if (elapsedMs === Number.POSITIVE_INFINITY) return;
    const table = this.#table;
    const row = this.#row;
    const gain = elapsedMs / (usualMemoryMs + elapsedMs);
    this.#prefillShare +=
      (this.#prefillDoneMs - this.#notedPrefillMs - elapsedMs * this.#prefillShare) / (shareMemoryMs + elapsedMs);
    this.#notedPrefillMs = this.#prefillDoneMs;
    table.stretch[row] = 1 / (1 - Math.min(maxPrefillShare, this.#prefillShare));
    table.newTokens[row]! *= newMemoryMs / (newMemoryMs + elapsedMs);
    table.usualPresent[row]! += gain * (this.present - this.usualPresent);
    table.usualContextTokens[row]! += gain * (this.contextTokens - this.usualContextTokens);
  }

  /** Of {@link WorkTable.backlogMs}. */
  backlogMs(nowMs: number): number {
    if (this.#silent > 0) this.#passSilentPrefills(nowMs);
    return this.#table.backlogMs(this.#row, this.#model, nowMs);
  }

  /** Of {@link WorkTable.scraped}. */
  scraped(running: number, waiting: number, nowMs: number): void {
    this.#table.scraped(this.#row, running, waiting, nowMs);
  }

  send(plan: DispatchPlan): Dispatch {
    const dispatch = new Dispatch(this, plan);
    const table = this.#table;
    const row = this.#row;
    if (table.queued[row] === 0) table.headSinceMs[row] = plan.sentAtMs;
    this.#pending.push(dispatch);
    table.queued[row]!++;
    table.queuedMs[row]! += plan.prefillMs;
    table.queuedTokens[row]! += dispatch.uncachedTokens;
    table.newTokens[row]! += plan.newTokens;
    if (!plan.streams) {
      this.#silent++;
      table.dueMs[row] = Number.NEGATIVE_INFINITY;
    }
    return dispatch;
  }

  /** Notes a request's first token. */
  firstToken(dispatch: Dispatch, nowMs: number): void {
    if (dispatch.state !== "pending") return;
    const startMs = Math.max(dispatch.plan.sentAtMs, this.#table.headSinceMs[this.#row]!);
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
      if (this.#pending[0] === dispatch) this.#table.headSinceMs[this.#row] = nowMs;
      this.#removePending(dispatch);
    } else if (state === "decoding") {
      if (dispatch.plan.streams && outputTokens !== undefined && outputTokens >= minStepTokens) {
        const prefillMs = this.#prefillDoneMs - dispatch.prefillDoneMs;
        const stepMs = (nowMs - dispatch.firstTokenAtMs - prefillMs) / (outputTokens - 1);
        if (stepMs > 0) this.#learnStep((dispatch.contextTokens + this.contextTokens) / 2, stepMs, outputTokens, nowMs);
      }
      this.#table.decoding[this.#row]!--;
      this.#table.promptTokens[this.#row]! -= dispatch.plan.promptTokens;
    }
  }

  /** Notes how many of the tokens expected in the cache were there. */
  learnCache(expectedTokens: number, foundTokens: number): void {
    if (!(expectedTokens > 0)) return;
    this.#cacheTrust.add(Math.max(0, Math.min(1, foundTokens / expectedTokens)));
    this.#table.cacheTrust[this.#row] = this.cacheTrust;
  }

  /** Of {@link EndpointSpeed.observe}. */
  observe(logRatio: number, prefillShare: number, noise: number, nowMs: number): void {
    this.#speed.observe(logRatio, prefillShare, noise, nowMs);
    this.#speedChanged();
  }

  #speedChanged(): void {
    this.#table.prefillFactor[this.#row] = this.#speed.prefill;
    this.#table.stepFactor[this.#row] = this.#speed.step;
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
      const dueMs =
        Math.max(head.plan.sentAtMs, this.#table.headSinceMs[this.#row]!) + head.plan.prefillMs * this.speed.prefill;
      if (dueMs > nowMs) return;
      this.#decode(head, dueMs);
    }
  }

  #decode(dispatch: Dispatch, atMs: number): void {
    this.#removePending(dispatch);
    this.#table.headSinceMs[this.#row] = atMs;
    this.#table.decoding[this.#row]!++;
    this.#table.promptTokens[this.#row]! += dispatch.plan.promptTokens;
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
    if (!dispatch.plan.streams) this.#silent--;
    const table = this.#table;
    const row = this.#row;
    const left = table.queued[row]! - 1;
    table.queued[row] = left;
    // Sums of many terms drift; an empty queue sets them right.
    table.queuedMs[row] = left === 0 ? 0 : table.queuedMs[row]! - dispatch.plan.prefillMs;
    table.queuedTokens[row] = left === 0 ? 0 : table.queuedTokens[row]! - dispatch.uncachedTokens;
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
    this.observe(Math.log(ms / expectedMs), prefillShare, noise, nowMs);
    model.learnPrefill(step.tokens, step.pairs, step.contextTokens, ms / factor);
  }

  /** Learns from the steps of an answer. */
  #learnStep(contextTokens: number, ms: number, answerTokens: number, nowMs: number): void {
    const { speed } = this;
    const model = this.#model;
    const expectedMs = model.stepMs(contextTokens) * speed.step;
    if (!(expectedMs > 0)) return;
    const factor = speed.step / model.usualStep;
    this.observe(Math.log(ms / expectedMs), 0, model.stepNoiseMs(expectedMs, answerTokens) / expectedMs, nowMs);
    model.learnStep(contextTokens, ms / factor, answerTokens);
  }
}
