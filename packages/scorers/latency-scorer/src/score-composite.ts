import type { CompositeWeights } from "./params.ts";

/** What is known of the candidates without a prediction, by their place in the list. */
export interface CompositeSignals {
  /** Share of the KV cache in use; NaN where it is unknown. */
  readonly usedCache: Float64Array;
  /** Waiting requests; NaN where they are unknown. */
  readonly queued: Float64Array;
  /** Share of the prompt that is cached, 0 where nothing is known. */
  readonly cachedPrompt: Float64Array;
}

/**
 * Fills `out[i]` with the weighted sum of free KV cache, short queue and cached prompt, in hundredths, 0 to 1.
 *
 * The queue counts against the longest one. An unknown cache or queue adds nothing while that of another candidate is
 * known; where none is known, each counts as empty. O(n), no allocation.
 */
export function scoreComposite(signals: CompositeSignals, out: Float64Array, weights: CompositeWeights): void {
  const { usedCache, queued, cachedPrompt } = signals;
  let maxQueued = Number.NEGATIVE_INFINITY;
  let cacheKnown = false;
  for (let i = 0; i < out.length; i++) {
    const queue = queued[i]!;
    if (isCount(queue) && queue > maxQueued) maxQueued = queue;
    if (usedCache[i]! >= 0) cacheKnown = true;
  }
  const queueKnown = maxQueued !== Number.NEGATIVE_INFINITY;
  for (let i = 0; i < out.length; i++) {
    const used = usedCache[i]!;
    const queue = queued[i]!;
    let free = 1;
    if (cacheKnown) free = used >= 0 && used <= 1 ? 1 - used : 0;
    let short = 1;
    if (queueKnown && !isCount(queue)) short = 0;
    else if (queueKnown && maxQueued > 0) short = (maxQueued - queue) / maxQueued;
    const sum = weights.kvCache * free + weights.queue * short + weights.prefix * cachedPrompt[i]!;
    out[i] = Math.round(100 * sum) / 100;
  }
}

function isCount(value: number): boolean {
  return value >= 0 && value < Number.POSITIVE_INFINITY;
}
