import {
  CACHE_BLOCK_SIZE,
  CACHE_NUM_BLOCKS,
  type Endpoint,
  type EndpointReader,
  type PluginHost,
} from "@pointsman/core";
import { maxBlockSizeTokens } from "@pointsman/core/xxh64";
import type { ApproxPrefixCacheParams } from "./params.ts";

/** Smaller blocks cost more to hash and to keep than they tell. */
const minBlockSizeTokens = 64;

/** Turns parameters and what engines report about their caches into block sizes and limits. */
export class BlockSizing {
  readonly #params: ApproxPrefixCacheParams;
  readonly #blockSizes: EndpointReader<number> | undefined;
  readonly #blockCounts: EndpointReader<number> | undefined;

  constructor(params: ApproxPrefixCacheParams, host: PluginHost) {
    this.#params = params;
    if (params.autoTune) {
      this.#blockSizes = host.endpointReader(CACHE_BLOCK_SIZE);
      this.#blockCounts = host.endpointReader(CACHE_NUM_BLOCKS);
    }
  }

  /** Tokens per block for a request: as the first candidate reports that reports any, else as configured; 64 at least. */
  blockSizeTokens(candidates: readonly Endpoint[]): number {
    let tokens = this.#params.blockSizeTokens;
    if (this.#blockSizes !== undefined) {
      for (let i = 0; i < candidates.length; i++) {
        const reported = known(this.#blockSizes.get(candidates[i]!));
        if (reported === undefined) continue;
        tokens = reported;
        break;
      }
    }
    return Math.max(minBlockSizeTokens, Math.min(Math.floor(tokens), maxBlockSizeTokens));
  }

  /** Blocks of one prompt that are looked at. */
  maxBlocks(blockSizeTokens: number): number {
    const { maxPrefixTokensToMatch, maxPrefixBlocksToMatch } = this.#params;
    if (maxPrefixTokensToMatch > 0) return Math.floor(maxPrefixTokensToMatch / blockSizeTokens);
    return maxPrefixBlocksToMatch === 0 ? Number.POSITIVE_INFINITY : Math.max(0, maxPrefixBlocksToMatch);
  }

  /** Blocks of `blockSizeTokens` that fit an endpoint's cache, where it reports one, else as configured. */
  capacityBlocks(endpoint: Endpoint, blockSizeTokens: number): number {
    const engineBlocks = known(this.#blockCounts?.get(endpoint));
    const engineBlockTokens = known(this.#blockSizes?.get(endpoint));
    if (engineBlocks === undefined || engineBlockTokens === undefined) return this.#params.lruCapacityPerServer;
    return Math.max(1, Math.floor((engineBlocks * engineBlockTokens) / blockSizeTokens));
  }
}

/** A size as reported, `undefined` for what no engine can have. */
function known(size: number | undefined): number | undefined {
  return size !== undefined && size >= 1 && size < Number.POSITIVE_INFINITY ? size : undefined;
}
