import { type AnyPluginDefinition, definePlugin, WAITING_QUEUE_SIZE } from "@pointsman/core";
import { type LoadAwareScorerParams, loadAwareScorerParams } from "./params.ts";

const bestScore = 0.5;

/**
 * Fills `out[i]`: 0.5 for an empty queue, 0 for one of `threshold` requests or more, linear between.
 *
 * `queued[i]` is NaN where the queue is unknown or stale: those get 0, as do counts nothing can have (below 0). Nothing
 * known: 0.5 for all, since there is nothing to tell them apart. Shape: `out.length === queued.length`. O(n), no
 * allocation.
 */
export function scoreQueue(queued: Float64Array, out: Float64Array, threshold: number): void {
  let nothingKnown = true;
  for (let i = 0; i < queued.length; i++) {
    const waiting = queued[i]!;
    if (waiting >= 0) nothingKnown = false;
    out[i] = waiting >= 0 ? bestScore * (1 - Math.min(waiting, threshold) / threshold) : 0;
  }
  if (nothingKnown) out.fill(bestScore);
}

export const loadAwareScorer: AnyPluginDefinition = definePlugin<LoadAwareScorerParams>({
  type: "load-aware-scorer",
  kind: "scorer",
  stability: "beta",
  summary: "0.5 = empty waiting queue, 0 = as long as the threshold or longer.",
  params: loadAwareScorerParams,
  consumes: () => ({ required: [WAITING_QUEUE_SIZE] }),
  create({ threshold }, host) {
    const waiting = host.endpointReader(WAITING_QUEUE_SIZE);
    let queued = new Float64Array(0);
    return {
      score(request, endpoints, out) {
        if (queued.length !== endpoints.length) queued = new Float64Array(endpoints.length);
        for (let i = 0; i < endpoints.length; i++) {
          queued[i] = waiting.fresh(endpoints[i]!, request.nowMs) ?? Number.NaN;
        }
        scoreQueue(queued, out, threshold);
      },
    };
  },
});
