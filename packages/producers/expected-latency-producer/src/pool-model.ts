import { LinearFit } from "./linear-fit.ts";
import { roundedValues } from "./rounded-values.ts";
import { RunningMean } from "./running-mean.ts";

/** Attention is counted per this many pairs of tokens, and context per this many tokens, so that coefficients are alike. */
const pairsUnit = 1e6;
const contextUnit = 1000;

/** Relations before the first answer: about a model of 8 billion parameters on one large GPU. Only their proportions matter. */
const priorPrefillMs = [15, 0.03, 1] as const;
const priorStepMs = [10, 0.05] as const;
const priorDoubt = 3;
const memorySamples = 500;

const priorOutputTokens = 200;
/** Models whose answers' lengths are told apart; others share one mean. */
const maxModels = 64;
/** Longest answer that is believed. */
const maxAnswerTokens = 1e6;
/** How far apart the engine's count of tokens and the one here may be; beyond, one of them counts something else. */
const maxTokenRatio = 50;

/** Pairs of tokens that attend to each other when tokens are computed after cached ones. */
export function attentionPairs(uncachedTokens: number, cachedTokens: number): number {
  return uncachedTokens * (cachedTokens + uncachedTokens / 2);
}

/**
 * What is learned about all endpoints of a pool together. How fast one endpoint is among them is a factor on top, which
 * the endpoint's own record keeps. Tokens are those of the tokenized prompt, be they the engine's or estimated.
 */
export class PoolModel {
  /** Milliseconds to a first token: fixed, per token, per million pairs of tokens. */
  readonly #prefill: LinearFit = new LinearFit(priorPrefillMs, priorDoubt, memorySamples);
  /** Milliseconds of one decode step: fixed, per 1000 tokens of context of all sequences. */
  readonly #step: LinearFit = new LinearFit(priorStepMs, priorDoubt, memorySamples);
  readonly #prefillFeatures: Float64Array = Float64Array.of(1, 0, 0);
  readonly #stepFeatures: Float64Array = Float64Array.of(1, 0);
  readonly #outputTokens: RunningMean = new RunningMean(priorOutputTokens, 200);
  readonly #outputTokensByModel: Map<string, RunningMean> = new Map();
  readonly #promptTokens: RunningMean = new RunningMean(0, 100);
  readonly #prefillMs: RunningMean = new RunningMean(0, 100);
  /** Tokens as counted here for each token as the engine counts. */
  readonly #tokenRatio: RunningMean = new RunningMean(1, 100);
  /** Share of a prompt that some endpoint holds. */
  readonly #reuse: RunningMean = new RunningMean(0, 50);

  /** Part of the time to a first token that is the same for all prompts. */
  get fixedMs(): number {
    return this.#prefill.coefficients[0]!;
  }

  /** Cost of computing tokens that follow cached ones, without what is fixed. */
  prefillMs(uncachedTokens: number, cachedTokens: number): number {
    return this.#costMs(uncachedTokens, attentionPairs(uncachedTokens, cachedTokens));
  }

  /** Time of one decode step with so much context. */
  stepMs(contextTokens: number): number {
    const { coefficients } = this.#step;
    return coefficients[0]! + (coefficients[1]! * contextTokens) / contextUnit;
  }

  /** What one more token of context adds to a step. */
  get stepMsPerToken(): number {
    return this.#step.coefficients[1]! / contextUnit;
  }

  get tokenRatio(): number {
    return this.#tokenRatio.value;
  }

  get reuse(): number {
    return this.#reuse.value;
  }

  get meanPromptTokens(): number {
    return this.#promptTokens.value;
  }

  get meanPrefillMs(): number {
    return this.#prefillMs.value;
  }

  /** Expected length of an answer. */
  outputTokens(model: string, limitTokens: number | undefined): number {
    const { value } = this.#outputTokensByModel.get(model) ?? this.#outputTokens;
    return Math.max(1, limitTokens !== undefined && limitTokens < value ? limitTokens : value);
  }

  /** Time to the first tokens of prompts computed together, as expected before it is learned from. */
  expectedPrefillMs(uncachedTokens: number, pairs: number): number {
    return this.fixedMs + this.#costMs(uncachedTokens, pairs);
  }

  learnPrefill(uncachedTokens: number, pairs: number, ms: number): void {
    this.#prefillFeatures[1] = uncachedTokens;
    this.#prefillFeatures[2] = pairs / pairsUnit;
    this.#prefill.learn(this.#prefillFeatures, ms, 5 + 0.1 * ms);
  }

  learnStep(contextTokens: number, ms: number): void {
    this.#stepFeatures[1] = contextTokens / contextUnit;
    this.#step.learn(this.#stepFeatures, ms, 0.5 + 0.1 * ms);
  }

  learnOutput(model: string, tokens: number): void {
    if (!(tokens >= 0 && tokens <= maxAnswerTokens)) return;
    this.#outputTokens.add(tokens);
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

  learnTokenRatio(countedTokens: number, reportedTokens: number): void {
    const ratio = countedTokens / reportedTokens;
    if (ratio >= 1 / maxTokenRatio && ratio <= maxTokenRatio) this.#tokenRatio.add(ratio);
  }

  /** The relations for people who debug. */
  dump(): { readonly [name: string]: number } {
    const [fixedMs, perTokenMs, perMillionPairsMs] = this.#prefill.coefficients;
    const [stepMs, per1000ContextTokensMs] = this.#step.coefficients;
    return roundedValues({
      fixedMs: fixedMs!,
      perTokenMs: perTokenMs!,
      perMillionPairsMs: perMillionPairsMs!,
      prefillSamples: this.#prefill.samples,
      stepMs: stepMs!,
      per1000ContextTokensMs: per1000ContextTokensMs!,
      stepSamples: this.#step.samples,
      meanOutputTokens: this.#outputTokens.value,
      tokenRatio: this.tokenRatio,
      reuse: this.reuse,
    });
  }

  #costMs(uncachedTokens: number, pairs: number): number {
    const { coefficients } = this.#prefill;
    return coefficients[1]! * uncachedTokens + (coefficients[2]! * pairs) / pairsUnit;
  }
}
