import { maxBlockSizeTokens } from "@pointsman/core/xxh64";
import { z } from "zod";
import { maxBlocksPerEndpoint } from "./prefix-index.ts";

/** How prompts are cut into blocks and how many blocks are kept for each endpoint. */
export interface ApproxPrefixCacheParams {
  readonly autoTune: boolean;
  readonly blockSizeTokens: number;
  readonly maxPrefixTokensToMatch: number;
  readonly maxPrefixBlocksToMatch: number;
  readonly lruCapacityPerServer: number;
  /** The deprecated parameter `blockSize` was given. */
  readonly usesBlockSize: boolean;
}

const defaultBlockSizeTokens = 16;
const defaultCapacityBlocks = 31_250;

export const approxPrefixCacheParams: z.ZodType<ApproxPrefixCacheParams> = z
  .strictObject({
    autoTune: z.boolean().default(true).describe("Follow the block size and the cache size that engines report."),
    blockSizeTokens: z
      .int()
      .max(maxBlockSizeTokens)
      .default(defaultBlockSizeTokens)
      .describe("Tokens per block where no engine reports its own. Blocks of fewer than 64 tokens count as 64."),
    maxPrefixTokensToMatch: z
      .int()
      .min(0)
      .default(131_072)
      .describe("Tokens at the start of a prompt that are looked at; 0 leaves it to `maxPrefixBlocksToMatch`."),
    maxPrefixBlocksToMatch: z
      .int()
      .default(2048)
      .describe("Blocks that are looked at when the limit in tokens is 0; 0 is no limit, below 0 is none."),
    lruCapacityPerServer: z
      .int()
      .max(maxBlocksPerEndpoint)
      .default(defaultCapacityBlocks)
      .describe("Blocks kept for each endpoint where no engine reports its cache size; 0 and below count as 31250."),
    blockSize: z
      .int()
      .max(maxBlockSizeTokens)
      .optional()
      .describe("Deprecated: use `blockSizeTokens`, which wins unless it is 16."),
  })
  .transform(({ blockSize, ...params }, context): ApproxPrefixCacheParams => {
    const replaced = blockSize !== undefined && blockSize > 0 && params.blockSizeTokens === defaultBlockSizeTokens;
    const blockSizeTokens = replaced ? blockSize : params.blockSizeTokens;
    if (!params.autoTune && blockSizeTokens <= 0) {
      context.addIssue({
        code: "custom",
        message: `must be above 0 tokens when autoTune is off, not ${blockSizeTokens}`,
        path: ["blockSizeTokens"],
      });
      return z.NEVER;
    }
    const capacity = params.lruCapacityPerServer;
    return {
      ...params,
      blockSizeTokens,
      lruCapacityPerServer: capacity > 0 ? capacity : defaultCapacityBlocks,
      usesBlockSize: blockSize !== undefined,
    };
  });
