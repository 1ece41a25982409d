import { type AttributeType, defineAttribute } from "./attribute-key.ts";

/** How much of one request's prompt each candidate is believed to hold in its KV cache. */
export interface PrefixMatch {
  /** Blocks in the request's prompts, all prompts together. */
  readonly totalBlocks: number;
  /** Tokens per block of this table (not necessarily the engine's block). */
  readonly blockSizeTokens: number;
  /** Leading blocks found, weighted as the producer defines; by `Endpoint.slot`. Slots beyond the end are unknown. */
  readonly matchedBlocks: Int32Array;
  /** Leading blocks found, unweighted; the same array where the producer does not weight. */
  readonly cachedBlocks: Int32Array;
  /** The same per cache tier (`gpu`, `cpu`, ...), where the producer knows tiers. */
  readonly cachedBlocksByTier?: ReadonlyMap<string, Int32Array>;
}

/** Prefix match of the request's prompt with every candidate. */
export const PREFIX_MATCH: AttributeType<PrefixMatch> = defineAttribute({
  dataType: "PrefixCacheMatchInfoDataKey",
  scope: "request",
  defaultProducer: "approx-prefix-cache-producer",
  autoCreate: true,
  perEndpoint: ({ matchedBlocks, totalBlocks }, slot) => ({ matchedBlocks: matchedBlocks[slot], totalBlocks }),
});
