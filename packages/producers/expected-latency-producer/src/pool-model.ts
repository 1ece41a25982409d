import { LinearFit } from "./linear-fit.ts";
import { roundedValues } from "./rounded-values.ts";
import { RunningMean } from "./running-mean.ts";

/** Attention is counted per this many pairs of tokens, and context per this many tokens, so that coefficients are alike. */
const pairsUnit = 1e6;
const contextUnit = 1000;

/** Relations before the first answer: about a model of 8 billion parameters on one large GPU. Only their proportions matter. */
const priorPrefillMs = [15, 0.03, 1, 0.075] as const;
const priorStepMs = [10, 0.05] as const;
const priorDoubt = 3;
const memorySamples = 500;

/** Usual error of a time: of when it is seen, and of what the relation leaves out. */
const seenErrorMs = 5;
const relativeError = 0.1;
const prefillErrorMs = (ms: number): number => seenErrorMs + relativeError * ms;
/** An answer's steps share the error of when its first and its last token are seen. */
const stepErrorMs = (ms: number, answerTokens: number): number =>
  0.1 + seenErrorMs / (answerTokens - 1) + relativeError * ms;

/** Answers over which the usual latency is averaged. */
const latencySamples = 300;

const priorOutputTokens = 200;
/** Models whose answers' lengths are told apart; others share one mean. */
const maxModels = 64;
/** Most requests that are expected to come for what is new in a prompt. */
const maxFollowers = 10;
const maxReuse = 0.99;
/** Longest answer that is believed. */
const maxAnswerTokens = 1e6;
/** How far apart the engine's count of tokens and the one here may be; beyond, one of them counts something else. */
const maxTokenRatio = 50;

/** Pairs of tokens that attend to each other when tokens are computed after cached ones. */
export function attentionPairs(uncachedTokens: number, cachedTokens: number): number {
  return uncachedTokens * (cachedTokens + uncachedTokens / 2);
}

/** The relations for many estimates at once: milliseconds, of each for one token or pair of tokens. */
export interface PoolRelations {
  readonly fixedMs: number;
  readonly perContextTokenMs: number;
  readonly perTokenMs: number;
  readonly perPairMs: number;
  readonly stepFixedMs: number;
  readonly stepPerTokenMs: number;
}

/**
 * What is learned about all endpoints of a pool together. How fast one endpoint is among them is a factor on top, which
 * the endpoint's own record keeps. Tokens are those of the tokenized prompt, be they the engine's or estimated.
 */
export class PoolModel {
  /** Milliseconds to a first token: fixed, per token, per million pairs of tokens, per 1000 tokens of context of others. */
  readonly #prefill: LinearFit = new LinearFit(priorPrefillMs, priorDoubt, memorySamples);
  /** Milliseconds of one decode step: fixed, per 1000 tokens of context of all sequences. */
  readonly #step: LinearFit = new LinearFit(priorStepMs, priorDoubt, memorySamples);
  readonly #prefillFeatures: Float64Array = Float64Array.of(1, 0, 0, 0);
  readonly #stepFeatures: Float64Array = Float64Array.of(1, 0);
  readonly #outputTokens: RunningMean = new RunningMean(priorOutputTokens, 200);
  readonly #squaredOutputTokens: RunningMean = new RunningMean(2 * priorOutputTokens ** 2, 200);
  readonly #outputTokensByModel: Map<string, RunningMean> = new Map();
  readonly #promptTokens: RunningMean = new RunningMean(0, 100);
  readonly #prefillMs: RunningMean = new RunningMean(0, 100);
  /** Endpoints of which something was observed, and sums of the logarithms of their factors. */
  #endpoints = 0;
  #prefillLog = 0;
  #stepLog = 0;
  /** Tokens as counted here for each token as the engine counts. */
  readonly #tokenRatio: RunningMean = new RunningMean(1, 100);
  /** What clients of streams see. */
  readonly #ttftMs: RunningMean = new RunningMean(0, latencySamples);
  readonly #endToEndMs: RunningMean = new RunningMean(0, latencySamples);
  /** Share of a prompt that some endpoint holds. */
  readonly #reuse: RunningMean = new RunningMean(0, 50);

  /**
   * Part of the time to a first token that is the same for all prompts: the rest of the step that runs, and the steps of
   * those who decode, with so much context, in which the prompt is computed.
   */
  sharedMs(contextTokens: number): number {
    const { coefficients } = this.#prefill;
    return coefficients[0]! + (coefficients[3]! * contextTokens) / contextUnit;
  }

  /** Cost of computing tokens that follow cached ones, without what is fixed. */
  prefillMs(uncachedTokens: number, cachedTokens: number): number {
    return this.#costMs(uncachedTokens, attentionPairs(uncachedTokens, cachedTokens));
  }

  /**
   * Share of the steps of an answer of so many tokens in which one that is in the making still is. What is left of such
   * an answer is half the mean square of the lengths by their mean: more where few answers are much longer than others.
   */
  overlap(outputTokens: number): number {
    const leftTokens = this.#squaredOutputTokens.value / (2 * Math.max(1, this.#outputTokens.value));
    return 1 - Math.exp(-leftTokens / outputTokens);
  }

  /** Time of one decode step with so much context. */
  stepMs(contextTokens: number): number {
    const { coefficients } = this.#step;
    return coefficients[0]! + (coefficients[1]! * contextTokens) / contextUnit;
  }

  /** The coefficients of {@link sharedMs}, {@link prefillMs} and {@link stepMs}. */
  relations(): PoolRelations {
    const [fixedMs, perToken, perPairs, perContext] = this.#prefill.coefficients;
    const [stepFixedMs, stepPerContext] = this.#step.coefficients;
    return {
      fixedMs: fixedMs!,
      perContextTokenMs: perContext! / contextUnit,
      perTokenMs: perToken!,
      perPairMs: perPairs! / pairsUnit,
      stepFixedMs: stepFixedMs!,
      stepPerTokenMs: stepPerContext! / contextUnit,
    };
  }

  get tokenRatio(): number {
    return this.#tokenRatio.value;
  }

  get reuse(): number {
    return this.#reuse.value;
  }

  /** How many requests come for what a prompt has that nobody held. */
  get followers(): number {
    return Math.min(maxFollowers, this.reuse / (1 - Math.min(this.reuse, maxReuse)));
  }

  /** How many times as long as its first token a whole answer takes. NaN before the first one. */
  get usualEndToEndRatio(): number {
    return this.#endToEndMs.value / this.#ttftMs.value;
  }

  get meanPromptTokens(): number {
    return this.#promptTokens.value;
  }

  /** Tokens that an answer in the making has on average. */
  get halfAnswerTokens(): number {
    return this.#outputTokens.value / 2;
  }

  get meanPrefillMs(): number {
    return this.#prefillMs.value;
  }

  /** Expected length of an answer. */
  outputTokens(model: string, limitTokens: number | undefined): number {
    const { value } = this.#outputTokensByModel.get(model) ?? this.#outputTokens;
    return Math.max(1, limitTokens !== undefined && limitTokens < value ? limitTokens : value);
  }

  /** Cost of prompts computed together. */
  pairedMs(uncachedTokens: number, pairs: number): number {
    return this.#costMs(uncachedTokens, pairs);
  }

  /** How far a time to a first token usually is off what is expected, milliseconds. */
  prefillNoiseMs(ms: number): number {
    return this.#prefill.spread * prefillErrorMs(ms);
  }

  /** The same for the time of a step that an answer of so many tokens tells. */
  stepNoiseMs(ms: number, answerTokens: number): number {
    return this.#step.spread * stepErrorMs(ms, answerTokens);
  }

  learnPrefill(uncachedTokens: number, pairs: number, contextTokens: number, ms: number): void {
    this.#prefillFeatures[1] = uncachedTokens;
    this.#prefillFeatures[2] = pairs / pairsUnit;
    this.#prefillFeatures[3] = contextTokens / contextUnit;
    this.#prefill.learn(this.#prefillFeatures, ms, prefillErrorMs(ms));
  }

  learnStep(contextTokens: number, ms: number, answerTokens: number): void {
    this.#stepFeatures[1] = contextTokens / contextUnit;
    this.#step.learn(this.#stepFeatures, ms, stepErrorMs(ms, answerTokens));
  }

  /** Notes that endpoints come (1) or go (-1), or by how much the logarithms of their factors change. */
  noteSpeeds(endpoints: number, prefillLog: number, stepLog: number): void {
    this.#endpoints += endpoints;
    this.#prefillLog += prefillLog;
    this.#stepLog += stepLog;
  }

  /** Mean of the endpoints' factors. Relations are those of a usual endpoint, so it is 1 but for what is being learned. */
  get usualPrefill(): number {
    return Math.exp(this.#prefillLog / Math.max(1, this.#endpoints));
  }

  get usualStep(): number {
    return Math.exp(this.#stepLog / Math.max(1, this.#endpoints));
  }

  learnOutput(model: string, tokens: number): void {
    if (!(tokens >= 0 && tokens <= maxAnswerTokens)) return;
    this.#outputTokens.add(tokens);
    this.#squaredOutputTokens.add(tokens * tokens);
    let mean = this.#outputTokensByModel.get(model);
    if (mean === undefined) {
      if (this.#outputTokensByModel.size === maxModels) return;
      mean = new RunningMean(this.#outputTokens.value, 200);
      this.#outputTokensByModel.set(model, mean);
    }
    mean.add(tokens);
  }

  /** Notes what a request asks of the endpoint it goes to. */
  learnPrompt(promptTokens: number, prefillMs: number): void {
    this.#promptTokens.add(promptTokens);
    this.#prefillMs.add(prefillMs);
  }

  /** Notes how much of a prompt the endpoint that holds most of it holds. */
  learnReuse(cachedTokens: number, promptTokens: number): void {
    if (promptTokens > 0) this.#reuse.add(cachedTokens / promptTokens);
  }

  /** Notes when the first and the last token of a stream came. */
  learnLatency(ttftMs: number, endToEndMs: number): void {
    if (!(ttftMs > 0 && endToEndMs >= ttftMs)) return;
    this.#ttftMs.add(ttftMs);
    this.#endToEndMs.add(endToEndMs);
  }

  learnTokenRatio(countedTokens: number, reportedTokens: number): void {
    const ratio = countedTokens / reportedTokens;
    if (ratio >= 1 / maxTokenRatio && ratio <= maxTokenRatio) this.#tokenRatio.add(ratio);
  }

  /** The relations for people who debug. */
  dump(): { readonly [name: string]: number } {
    const [fixedMs, perTokenMs, perMillionPairsMs, waitPer1000ContextTokensMs] = this.#prefill.coefficients;
    const [stepMs, per1000ContextTokensMs] = this.#step.coefficients;
    return roundedValues({
      fixedMs: fixedMs!,
      perTokenMs: perTokenMs!,
      perMillionPairsMs: perMillionPairsMs!,
      waitPer1000ContextTokensMs: waitPer1000ContextTokensMs!,
      prefillSamples: this.#prefill.samples,
      stepMs: stepMs!,
      per1000ContextTokensMs: per1000ContextTokensMs!,
      stepSamples: this.#step.samples,
      meanOutputTokens: this.#outputTokens.value,
      tokenRatio: this.tokenRatio,
      reuse: this.reuse,
      usualTtftMs: this.#ttftMs.value,
      usualEndToEndMs: this.#endToEndMs.value,
    });
  }

  #costMs(uncachedTokens: number, pairs: number): number {
    const { coefficients } = this.#prefill;
    return coefficients[1]! * uncachedTokens + (coefficients[2]! * pairs) / pairsUnit;
  }
}
