import { type AnyPluginDefinition, definePlugin, WAITING_QUEUE_SIZE } from "@pointsman/core";

/**
 * Fills `out[i]`: 1 for the shortest waiting queue among the endpoints, 0 for the longest, linear between.
 *
 * `queued[i]` is NaN where the queue is unknown or stale: those get 0, as do counts no engine can have (below 0, infinite).
 * All known counts equal: 1 for each. Nothing known: 1 for all, since there is nothing to tell them apart. O(n), no
 * allocation.
 */
export function scoreQueues(queued: Float64Array, out: Float64Array): void {
  let min = Number.POSITIVE_INFINITY;
  let max = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < queued.length; i++) {
    const value = queued[i]!;
    if (!isCount(value)) continue;
    if (value < min) min = value;
    if (value > max) max = value;
  }
  const range = max - min;
  const nothingKnown = max === Number.NEGATIVE_INFINITY;
  for (let i = 0; i < queued.length; i++) {
    const value = queued[i]!;
    if (nothingKnown) out[i] = 1;
    else if (!isCount(value)) out[i] = 0;
    else out[i] = range === 0 ? 1 : (max - value) / range;
  }
}

function isCount(value: number): boolean {
  return value >= 0 && value < Number.POSITIVE_INFINITY;
}

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
        scoreQueues(queued, out);
      },
    };
  },
});
