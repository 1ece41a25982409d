import { type AnyPluginDefinition, definePlugin, RUNNING_REQUESTS_SIZE } from "@pointsman/core";

/**
 * Fills `out[i]`: 1 for the fewest running requests among the endpoints, 0 for the most, linear between.
 *
 * `running[i]` is NaN where the number is unknown or stale: those get 0, as do counts no engine can have (below 0, infinite).
 * All known counts equal: 1 for each. Nothing known: 1 for all, since there is nothing to tell them apart. O(n), no
 * allocation.
 */
export function scoreRunningRequests(running: Float64Array, out: Float64Array): void {
  let min = Number.POSITIVE_INFINITY;
  let max = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < running.length; i++) {
    const value = running[i]!;
    if (!isCount(value)) continue;
    if (value < min) min = value;
    if (value > max) max = value;
  }
  const range = max - min;
  const nothingKnown = max === Number.NEGATIVE_INFINITY;
  for (let i = 0; i < running.length; i++) {
    const value = running[i]!;
    if (nothingKnown) out[i] = 1;
    else if (!isCount(value)) out[i] = 0;
    else out[i] = range === 0 ? 1 : (max - value) / range;
  }
}

function isCount(value: number): boolean {
  return value >= 0 && value < Number.POSITIVE_INFINITY;
}

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
        scoreRunningRequests(running, out);
      },
    };
  },
});
