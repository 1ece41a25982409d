import { type AttributeType, defineAttribute } from "./attribute-key.ts";

/** A multimodal item inside a tokenized prompt. */
export interface MultiModalFeature {
  readonly modality: string;
  readonly hash: string;
  /** First placeholder token of the item. */
  readonly offsetTokens: number;
  readonly lengthTokens: number;
}

/** The tokens of one prompt. */
export interface PromptTokens {
  readonly tokenIds: Uint32Array;
  readonly features: readonly MultiModalFeature[];
}

/** The request's prompts as tokens: exact from a tokenizer, or estimated from bytes. */
export interface TokenizedPrompt {
  readonly prompts: readonly PromptTokens[];
  /** Tokens of all prompts together. */
  readonly totalTokens: number;
  /** True when tokens stand for four bytes of text each and match no engine's tokens. */
  readonly estimated: boolean;
}

/** Tokens of the request's prompts. */
export const TOKENIZED_PROMPT: AttributeType<TokenizedPrompt> = defineAttribute({
  dataType: "TokenizedPrompt",
  scope: "request",
  defaultProducer: "token-producer",
  autoCreate: true,
});
