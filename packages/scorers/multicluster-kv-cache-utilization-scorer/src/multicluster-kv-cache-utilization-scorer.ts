import { type AnyPluginDefinition, definePlugin, MULTICLUSTER_KV_CACHE_UTILIZATION } from "@pointsman/core";

export const multiclusterKvCacheUtilizationScorer: AnyPluginDefinition = definePlugin({
  type: "multicluster-kv-cache-utilization-scorer",
  kind: "scorer",
  stability: "alpha",
  summary: "1 = the cluster's KV cache is empty, 0 = full.",
  consumes: () => ({ required: [MULTICLUSTER_KV_CACHE_UTILIZATION] }),
  create(_params, host) {
    const usage = host.endpointReader(MULTICLUSTER_KV_CACHE_UTILIZATION);
    return {
      score(request, endpoints, out) {
        let nothingKnown = true;
        for (let i = 0; i < endpoints.length; i++) {
          const used = usage.fresh(endpoints[i]!, request.nowMs) ?? Number.NaN;
          if (used >= 0) nothingKnown = false;
          // Unknown, below 0 (which no cache can be) and full all have nothing free.
          out[i] = used >= 0 && used <= 1 ? 1 - used : 0;
        }
        if (nothingKnown) out.fill(1);
      },
    };
  },
});
