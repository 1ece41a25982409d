import { type AnyPluginDefinition, definePlugin, PREFIX_MATCH } from "@pointsman/core";
import { type PrefixCacheScorerParams, prefixCacheScorerParams } from "./params.ts";

/**
 * Score of one endpoint: `w · min(1, matched tokens / scale)² + (1 − w) · matched blocks / all blocks`.
 *
 * 1 = the whole prompt is held, 0 = nothing of it; 0 for a prompt without blocks. `matchedBlocks` is moved into 0 to
 * `totalBlocks`. Never throws.
 */
export function scoreMatch(
  matchedBlocks: number,
  totalBlocks: number,
  blockSizeTokens: number,
  { matchLengthWeight, matchLengthScaleTokens }: Omit<PrefixCacheScorerParams, "prefixMatchInfoProducerName">,
): number {
  if (totalBlocks <= 0) return 0;
  const matched = Math.max(0, Math.min(matchedBlocks, totalBlocks));
  const ratio = matched / totalBlocks;
  if (matchLengthWeight === 0) return ratio;
  const length = Math.min(1, (matched * Math.max(0, blockSizeTokens)) / matchLengthScaleTokens);
  return matchLengthWeight * length * length + (1 - matchLengthWeight) * ratio;
}

export const prefixCacheScorer: AnyPluginDefinition = definePlugin<PrefixCacheScorerParams>({
  type: "prefix-cache-scorer",
  variants: [{ type: "multicluster-prefix-cache-scorer", stability: "alpha" }],
  kind: "scorer",
  stability: "beta",
  summary: "1 = the endpoint's KV cache holds the whole prompt, 0 = nothing of its start.",
  params: prefixCacheScorerParams,
  consumes: ({ prefixMatchInfoProducerName }) => ({ required: [PREFIX_MATCH.from(prefixMatchInfoProducerName)] }),
  create(params, host) {
    const matches = host.requestReader(PREFIX_MATCH.from(params.prefixMatchInfoProducerName));
    return {
      score(request, endpoints, out) {
        const match = matches.get(request);
        for (let i = 0; i < endpoints.length; i++) {
          // A slot beyond the table is unknown.
          const matchedBlocks = match?.matchedBlocks[endpoints[i]!.slot] ?? 0;
          out[i] =
            match === undefined ? 0 : scoreMatch(matchedBlocks, match.totalBlocks, match.blockSizeTokens, params);
        }
      },
    };
  },
});
