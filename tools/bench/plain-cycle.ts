import type { AttributeKey, Endpoint, PrefixMatch } from "@pointsman/core";

/** The signals that the five scorers read, each with the weight that the bench gives it. */
export interface PlainSignals {
  readonly waiting: AttributeKey<number>;
  readonly running: AttributeKey<number>;
  readonly kvCacheUsage: AttributeKey<number>;
  readonly stalenessMs: number;
}

/**
 * Picks the best endpoint in two loops written by hand: the same signals of the same objects with the same check of
 * their age, the same weights, and nothing else. No plugins, no check of scores, no metrics, no random choice among
 * equals, and endpoints without a hit rank by their place instead of their last use. `waiting` and `running` are
 * scratch space, as long as `endpoints`.
 *
 * A lower bound for a scheduling cycle, not another scheduler.
 */
export function plainCycle(
  endpoints: readonly Endpoint[],
  match: PrefixMatch | undefined,
  nowMs: number,
  signals: PlainSignals,
  waiting: Float64Array,
  running: Float64Array,
): number {
  const { stalenessMs } = signals;
  const waitingIndex = signals.waiting.index;
  const runningIndex = signals.running.index;
  const kvIndex = signals.kvCacheUsage.index;
  const oldestMs = nowMs - stalenessMs;
  const count = endpoints.length;
  let minWaiting = Number.POSITIVE_INFINITY;
  let maxWaiting = Number.NEGATIVE_INFINITY;
  let minRunning = Number.POSITIVE_INFINITY;
  let maxRunning = Number.NEGATIVE_INFINITY;
  let hit = false;
  for (let i = 0; i < count; i++) {
    const endpoint = endpoints[i]!;
    const queued = fresh(endpoint, waitingIndex, oldestMs);
    const computed = fresh(endpoint, runningIndex, oldestMs);
    waiting[i] = queued;
    running[i] = computed;
    if (queued < minWaiting) minWaiting = queued;
    if (queued > maxWaiting) maxWaiting = queued;
    if (computed < minRunning) minRunning = computed;
    if (computed > maxRunning) maxRunning = computed;
    if (match !== undefined && match.matchedBlocks[endpoint.slot]! > 0) hit = true;
  }
  const waitingRange = maxWaiting - minWaiting || 1;
  const runningRange = maxRunning - minRunning || 1;
  const blocks = match?.totalBlocks || 1;
  let best = 0;
  let bestTotal = -1;
  for (let i = 0; i < count; i++) {
    const endpoint = endpoints[i]!;
    const held = match === undefined ? 0 : match.matchedBlocks[endpoint.slot]!;
    const total =
      (2 * (maxWaiting - waiting[i]!)) / waitingRange +
      2 * (1 - fresh(endpoint, kvIndex, oldestMs)) +
      (3 * held) / blocks +
      2 * (hit ? 0.5 : 1 - i / count) +
      (maxRunning - running[i]!) / runningRange;
    if (total > bestTotal) {
      best = i;
      bestTotal = total;
    }
  }
  return best;
}

function fresh(endpoint: Endpoint, index: number, oldestMs: number): number {
  const value = endpoint.writtenAtMs[index]! >= oldestMs ? endpoint.values[index] : undefined;
  return typeof value === "number" ? value : Number.NaN;
}
