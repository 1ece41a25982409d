import { LinearFit } from "./linear-fit.ts";

/** Attention costs are counted per this many pairs of tokens, so that coefficients are of like size. */
const pairsUnit = 1e6;

/** What is learned about all endpoints of a pool together. An endpoint's own speed is a factor on top. */
export class PoolModel {
  /** Milliseconds of prefill: fixed, per token, per million pairs of tokens that attend to each other. */
  readonly #prefill: LinearFit = new LinearFit([15, 0.03, 1], 3, 500);
  /** Milliseconds of one decode step: fixed, per 1000 tokens of context of all sequences. */
  readonly #step: LinearFit = new LinearFit([10, 0.05], 3, 500);
  readonly #features3: Float64Array = Float64Array.of(1, 0, 0);
  readonly #features2: Float64Array = Float64Array.of(1, 0);
  /** Running means. */
  outputTokens = 200;
  promptTokens = 0;
  prefillMs = 0;
  /** Tokens as counted here for each token as the engine counts. */
  tokenRatio = 1;
  samples = 0;
  /** Share of a prompt that some endpoint holds. */
  reuse = 0;

  /** Cost of computing tokens that follow cached ones, without what is fixed. */
  prefill(uncachedTokens: number, cachedTokens: number): number {
    const { coefficients } = this.#prefill;
    const pairs = uncachedTokens * (cachedTokens + uncachedTokens / 2);
    return coefficients[1]! * uncachedTokens + (coefficients[2]! * pairs) / pairsUnit;
  }

  /** Part of the time to a first token that is the same for all prompts. */
  get fixedMs(): number {
    return this.#prefill.coefficients[0]!;
  }

  stepMs(contextTokens: number): number {
    const { coefficients } = this.#step;
    return coefficients[0]! + (coefficients[1]! * contextTokens) / 1000;
  }

  /** What one more token of context adds to a step. */
  get stepMsPerToken(): number {
    return this.#step.coefficients[1]! / 1000;
  }

  learnPrefill(uncachedTokens: number, pairs: number, ms: number): void {
    this.#features3[1] = uncachedTokens;
    this.#features3[2] = pairs / pairsUnit;
    this.#prefill.learn(this.#features3, ms, 5 + 0.1 * ms);
    this.samples++;
  }

  learnStep(contextTokens: number, ms: number): void {
    this.#features2[1] = contextTokens / 1000;
    this.#step.learn(this.#features2, ms, 0.5 + 0.1 * ms);
  }

  learnOutput(tokens: number): void {
    this.outputTokens += 0.01 * (tokens - this.outputTokens);
  }

  learnPrompt(tokens: number, prefillMs: number): void {
    const gain = this.promptTokens === 0 ? 1 : 0.02;
    this.promptTokens += gain * (tokens - this.promptTokens);
    this.prefillMs += gain * (prefillMs - this.prefillMs);
  }

  learnRatio(counted: number, reported: number): void {
    if (counted > 0 && reported > 0) this.tokenRatio += 0.02 * (counted / reported - this.tokenRatio);
  }

  dump(): { readonly [name: string]: number } {
    const [fixedMs, perTokenMs, perMillionPairsMs] = this.#prefill.coefficients;
    const [stepMs, per1kContextMs] = this.#step.coefficients;
    return {
      fixedMs: fixedMs!,
      perTokenMs: perTokenMs!,
      perMillionPairsMs: perMillionPairsMs!,
      stepMs: stepMs!,
      per1kContextMs: per1kContextMs!,
      outputTokens: this.outputTokens,
      tokenRatio: this.tokenRatio,
      samples: this.samples,
    };
  }
}
