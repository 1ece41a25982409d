import { type AnyPluginDefinition, definePlugin, KV_CACHE_USAGE } from "@pointsman/core";

/**
 * Fills `out[i]`: the free share of endpoint i's KV cache, 1 = empty, 0 = full.
 *
 * `usedShares[i]` is NaN where the use is unknown or stale: those get 0, as do shares below 0, which no engine can have.
 * Shares above 1 count as full. Nothing known: 1 for all, since there is nothing to tell them apart. O(n), no
 * allocation.
 */
export function scoreFreeCache(usedShares: Float64Array, out: Float64Array): void {
  let nothingKnown = true;
  for (let i = 0; i < usedShares.length; i++) {
    const used = usedShares[i]!;
    if (used >= 0) nothingKnown = false;
    out[i] = used >= 0 && used <= 1 ? 1 - used : 0;
  }
  if (nothingKnown) out.fill(1);
}

export const kvCacheUtilizationScorer: AnyPluginDefinition = definePlugin({
  type: "kv-cache-utilization-scorer",
  kind: "scorer",
  stability: "beta",
  summary: "1 = KV cache empty, 0 = full.",
  consumes: () => ({ required: [KV_CACHE_USAGE] }),
  create(_params, host) {
    const used = host.endpointReader(KV_CACHE_USAGE);
    let usedShares = new Float64Array(0);
    return {
      score(request, endpoints, out) {
        if (usedShares.length !== endpoints.length) usedShares = new Float64Array(endpoints.length);
        for (let i = 0; i < endpoints.length; i++) {
          usedShares[i] = used.fresh(endpoints[i]!, request.nowMs) ?? Number.NaN;
        }
        scoreFreeCache(usedShares, out);
      },
    };
  },
});
