import { type AnyPluginDefinition, definePlugin, RUNNING_REQUESTS_SIZE, scoreFewest } from "@pointsman/core";

export const runningRequestsSizeScorer: AnyPluginDefinition = definePlugin({
  type: "running-requests-size-scorer",
  kind: "scorer",
  stability: "beta",
  summary: "1 = fewest running requests among the candidates, 0 = most.",
  consumes: () => ({ required: [RUNNING_REQUESTS_SIZE] }),
  create(_params, host) {
    const runningRequests = host.endpointReader(RUNNING_REQUESTS_SIZE);
    let running = new Float64Array(0);
    return {
      score(request, endpoints, out) {
        if (running.length !== endpoints.length) running = new Float64Array(endpoints.length);
        for (let i = 0; i < endpoints.length; i++) {
          running[i] = runningRequests.fresh(endpoints[i]!, request.nowMs) ?? Number.NaN;
        }
        scoreFewest(running, out);
      },
    };
  },
});
