import { type AnyPluginDefinition, definePlugin, scoreFewest, WAITING_QUEUE_SIZE } from "@pointsman/core";

export const queueScorer: AnyPluginDefinition = definePlugin({
  type: "queue-scorer",
  kind: "scorer",
  stability: "beta",
  summary: "1 = shortest waiting queue among the candidates, 0 = longest.",
  consumes: () => ({ required: [WAITING_QUEUE_SIZE] }),
  create(_params, host) {
    const waiting = host.endpointReader(WAITING_QUEUE_SIZE);
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
