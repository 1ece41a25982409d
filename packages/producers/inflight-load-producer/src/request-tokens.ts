import type { PrefixMatch } from "@pointsman/core";
import type { InflightLoadParams } from "./params.ts";

/** No request counts for more, so that sums stay exact whatever a producer writes. */
const maxTokens = 2 ** 40;

/**
 * Prompt tokens that the endpoint in `slot` would have to compute: all of them without a match, else those of the blocks
 * it does not hold and those beyond the blocks. A partial last block counts whole.
 *
 * Shape: a whole number from 0. What a match says of no block, or beyond its blocks, is moved into range. Never throws.
 */
export function uncachedTokens(promptTokens: number, match: PrefixMatch | undefined, slot: number): number {
  const all = wholeTokens(promptTokens);
  const matched = match?.matchedBlocks[slot];
  if (match === undefined || matched === undefined || !(match.blockSizeTokens > 0)) return all;
  const { totalBlocks, blockSizeTokens } = match;
  const missingBlocks = Math.max(0, totalBlocks - Math.max(0, matched));
  return wholeTokens(missingBlocks * blockSizeTokens + Math.max(0, all - totalBlocks * blockSizeTokens));
}

/** Estimated tokens of the answer to a prompt; 0 unless the parameters ask for an estimate. */
export function estimatedOutputTokens(
  promptTokens: number,
  clientLimitTokens: number | undefined,
  params: Pick<InflightLoadParams, "addEstimatedOutputTokens" | "outputRatio" | "maxEstimatedOutputTokens">,
): number {
  if (!params.addEstimatedOutputTokens) return 0;
  const estimate = wholeTokens(wholeTokens(promptTokens) * params.outputRatio);
  return wholeTokens(Math.min(estimate, clientLimitTokens ?? estimate, params.maxEstimatedOutputTokens ?? estimate));
}

/** Rounded, from 0 up; 0 for what is no number. */
function wholeTokens(tokens: number): number {
  return tokens > 0 ? Math.min(Math.round(tokens), maxTokens) : 0;
}
