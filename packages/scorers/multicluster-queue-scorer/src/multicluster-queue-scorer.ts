import { type AnyPluginDefinition, definePlugin, MULTICLUSTER_QUEUE_SIZE, scoreFewest } from "@pointsman/core";

export const multiclusterQueueScorer: AnyPluginDefinition = definePlugin({
  type: "multicluster-queue-scorer",
  kind: "scorer",
  stability: "alpha",
  summary: "1 = cluster with the shortest waiting queue among the candidates, 0 = with the longest.",
  consumes: () => ({ required: [MULTICLUSTER_QUEUE_SIZE] }),
  create(_params, host) {
    const waiting = host.endpointReader(MULTICLUSTER_QUEUE_SIZE);
    let queued = new Float64Array(0);
    return {
      score(request, endpoints, out) {
        if (queued.length !== endpoints.length) queued = new Float64Array(endpoints.length);
        for (let i = 0; i < endpoints.length; i++) {
          queued[i] = waiting.fresh(endpoints[i]!, request.nowMs) ?? Number.NaN;
        }
        scoreFewest(queued, out);
      },
    };
  },
});
