import { type AnyPluginDefinition, definePlugin, PREFIX_MATCH, type PrefixMatch } from "@pointsman/core";
import { type MulticlusterPrefixCacheScorerParams, multiclusterPrefixCacheScorerParams } from "./params.ts";

/**
 * Score of the cluster in `slot`: `w · min(1, matched tokens / scale)² + (1 − w) · matched blocks / all blocks`.
 *
 * 0 for a prompt without blocks and for a slot beyond the table, which is unknown. Never throws, no allocation.
 */
export function scoreCluster(
  { matchedBlocks, totalBlocks, blockSizeTokens }: PrefixMatch,
  slot: number,
  { matchLengthWeight: w, matchLengthScaleTokens }: MulticlusterPrefixCacheScorerParams,
): number {
  const matched = Math.min(matchedBlocks[slot] ?? 0, totalBlocks);
  if (matched <= 0) return 0;
  const length = w === 0 ? 0 : Math.min(1, (matched * Math.max(0, blockSizeTokens)) / matchLengthScaleTokens);
  return w * length * length + (1 - w) * (matched / totalBlocks);
}

export const multiclusterPrefixCacheScorer: AnyPluginDefinition = definePlugin<MulticlusterPrefixCacheScorerParams>({
  type: "multicluster-prefix-cache-scorer",
  kind: "scorer",
  stability: "alpha",
  summary: "1 = the cluster's KV caches hold the whole prompt, 0 = nothing of its start.",
  params: multiclusterPrefixCacheScorerParams,
  consumes: ({ prefixMatchInfoProducerName }) => ({ required: [PREFIX_MATCH.from(prefixMatchInfoProducerName)] }),
  create(params, host) {
    const matches = host.requestReader(PREFIX_MATCH.from(params.prefixMatchInfoProducerName));
    return {
      score(request, endpoints, out) {
        const match = matches.get(request);
        for (let i = 0; i < endpoints.length; i++) {
          out[i] = match === undefined ? 0 : scoreCluster(match, endpoints[i]!.slot, params);
        }
      },
    };
  },
});
