import {
  ACTIVE_MODELS,
  type AnyPluginDefinition,
  definePlugin,
  MAX_ACTIVE_MODELS,
  WAITING_MODELS,
} from "@pointsman/core";

/**
 * Rates one endpoint for a request to `model`: 1 = the adapter is active, 0.8 = there is room for one more,
 * 0.6 = the adapter waits already, 0 = none of these.
 *
 * What is unknown is not assumed: room counts only when active and waiting adapters and the limit are all known.
 * O(1), no allocation.
 */
export function scoreAdapters(
  model: string,
  active: ReadonlySet<string> | undefined,
  waiting: ReadonlySet<string> | undefined,
  maxActive: number | undefined,
): number {
  if (active?.has(model) === true) return 1;
  if (active !== undefined && waiting !== undefined && maxActive !== undefined) {
    if (active.size + waiting.size < maxActive) return 0.8;
  }
  return waiting?.has(model) === true ? 0.6 : 0;
}

export const loraAffinityScorer: AnyPluginDefinition = definePlugin({
  type: "lora-affinity-scorer",
  kind: "scorer",
  stability: "beta",
  summary: "1 = the request's LoRA adapter is active, 0.8 = room for it, 0.6 = it waits already, 0 = none of these.",
  consumes: () => ({ required: [ACTIVE_MODELS, WAITING_MODELS, MAX_ACTIVE_MODELS] }),
  // For the model's name.
  readsBody: ["request"],
  create(_params, host) {
    const active = host.endpointReader(ACTIVE_MODELS);
    const waiting = host.endpointReader(WAITING_MODELS);
    const maxActive = host.endpointReader(MAX_ACTIVE_MODELS);
    return {
      score(request, endpoints, out) {
        const { nowMs, targetModel } = request;
        for (let i = 0; i < endpoints.length; i++) {
          const endpoint = endpoints[i]!;
          out[i] = scoreAdapters(
            targetModel,
            active.fresh(endpoint, nowMs),
            waiting.fresh(endpoint, nowMs),
            maxActive.fresh(endpoint, nowMs),
          );
        }
      },
    };
  },
});
