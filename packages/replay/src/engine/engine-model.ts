/**
 * What one simulated model server can do: an engine that batches continuously and computes prompts in chunks, as vLLM V1
 * does. Times in milliseconds of virtual time.
 */
export interface EngineModel {
  /** Blocks of the KV cache. */
  readonly kvBlocks: number;
  readonly blockTokens: number;
  /** Prompt tokens per second where there is no context before them. */
  readonly prefillTokensPerSecond: number;
  /** Context length at which attention makes a prompt token cost twice as much. */
  readonly attentionTokens: number;
  /** Tokens in one step, prompt and output together. */
  readonly maxBatchedTokens: number;
  /** Sequences that run at a time. */
  readonly maxSequences: number;
  /** Fixed cost of a step. */
  readonly stepBaseMs: number;
  /** Added for each sequence that decodes. */
  readonly stepPerSequenceMs: number;
  /** Added for each 1000 tokens of context of the sequences that decode. */
  readonly stepPer1kContextMs: number;
}

/**
 * About an 8-billion-parameter model in BF16 on one H100 with 80 GB: 58 GB of KV cache at 147 kB per token, 49 % of peak
 * arithmetic in prefill, 80 % of peak bandwidth in decode.
 */
export const defaultEngineModel: EngineModel = {
  kvBlocks: 25_000,
  blockTokens: 16,
  prefillTokensPerSecond: 35_000,
  attentionTokens: 24_000,
  maxBatchedTokens: 8192,
  maxSequences: 256,
  stepBaseMs: 7,
  stepPerSequenceMs: 0.02,
  stepPer1kContextMs: 0.055,
};

/** Cost of computing `tokens` prompt tokens that follow `contextTokens`: attention is linear in what is before a token. */
export function prefillMs(model: EngineModel, contextTokens: number, tokens: number): number {
  const attention = tokens * (contextTokens + tokens / 2);
  return (1000 / model.prefillTokensPerSecond) * (tokens + attention / model.attentionTokens);
}

/** Cost of one step for sequences that decode, `contextTokens` of context together. */
export function decodeStepMs(model: EngineModel, sequences: number, contextTokens: number): number {
  return model.stepBaseMs + model.stepPerSequenceMs * sequences + (model.stepPer1kContextMs * contextTokens) / 1000;
}
