import { maxBlockSizeTokens } from "@pointsman/core/xxh64";
import { z } from "zod";

/** How long requests are collected, and how those of one window are placed. */
export interface BurstPrefixCacheParams {
  readonly windowDurationMs: number;
  /** Requests with one prompt on one endpoint; -1 is no limit. */
  readonly maxPerReplica: number;
  readonly blockSizeTokens: number;
  /** Blocks of one prompt that are looked at. */
  readonly maxBlocks: number;
  readonly minColocateBlocks: number;
  /** Requests in one window; -1 is no limit. */
  readonly maxBatchSize: number;
  readonly balanceBy: "requests" | "tokens";
}

const defaultMaxBlocks = 2048;

const limit = (defaultLimit: number): z.ZodDefault<z.ZodNumber> =>
  z
    .int()
    .min(-1)
    .refine((value) => value !== 0, { error: "must be -1 (no limit) or at least 1, not 0" })
    .default(defaultLimit);

export const burstPrefixCacheParams: z.ZodType<BurstPrefixCacheParams> = z
  .strictObject({
    windowDurationMs: z
      .int()
      .min(1)
      .max(10_000)
      .default(100)
      .describe("Milliseconds that requests are collected after the first one; each of them waits that long."),
    maxPerReplica: limit(-1).describe(
      "Requests with one prompt placed on one endpoint before the next; -1 is no limit.",
    ),
    blockSizeTokens: z.int().min(1).max(maxBlockSizeTokens).default(64).describe("Tokens per block."),
    maxPrefixTokensToMatch: z
      .int()
      .min(0)
      .default(0)
      .describe("Tokens at the start of a prompt that are looked at; 0 is 2048 blocks."),
    minColocateBlocks: z
      .int()
      .min(0)
      .default(0)
      .describe("Leading blocks that requests must share to be put together although their ends differ; 0 is off."),
    maxBatchSize: limit(1000).describe("Requests in one window; what exceeds it is not placed. -1 is no limit."),
    balanceBy: z
      .enum(["requests", "tokens"])
      .default("requests")
      .describe("What an endpoint's load is counted in: `requests`, or the blocks of `tokens` it has to compute."),
  })
  .transform(({ maxPrefixTokensToMatch, ...params }, context): BurstPrefixCacheParams => {
    if (maxPrefixTokensToMatch > 0 && maxPrefixTokensToMatch < params.blockSizeTokens) {
      context.addIssue({
        code: "custom",
        message: `must be 0 or at least blockSizeTokens (${params.blockSizeTokens}), not ${maxPrefixTokensToMatch}`,
        path: ["maxPrefixTokensToMatch"],
      });
      return z.NEVER;
    }
    const maxBlocks =
      maxPrefixTokensToMatch === 0 ? defaultMaxBlocks : Math.floor(maxPrefixTokensToMatch / params.blockSizeTokens);
    return { ...params, maxBlocks };
  });
