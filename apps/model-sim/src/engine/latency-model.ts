/** What a step of the engine costs, in simulated milliseconds. */
export interface LatencyModel {
  /** Prompt tokens per second at the start of a prompt. */
  readonly prefillTokensPerSecond: number;
  /** Tokens of context after which a prompt token costs twice as much as at the start. */
  readonly attentionTokens: number;
  /** The fixed cost of every step. */
  readonly stepMs: number;
  readonly stepPerRequestMs: number;
  /** Added per 1000 tokens of context of all decoding requests together. */
  readonly stepPer1kContextMs: number;
}

/** The cost of computing `tokens` prompt tokens that follow `contextTokens`. */
export function prefillMs(model: LatencyModel, contextTokens: number, tokens: number): number {
  const attention = (tokens * contextTokens + (tokens * tokens) / 2) / model.attentionTokens;
  return (1000 / model.prefillTokensPerSecond) * (tokens + attention);
}

/** The cost of a step, prefill apart, in which `requests` requests with `contextTokens` in total get a token each. */
export function decodeMs(model: LatencyModel, requests: number, contextTokens: number): number {
  return model.stepMs + model.stepPerRequestMs * requests + (model.stepPer1kContextMs * contextTokens) / 1000;
}
