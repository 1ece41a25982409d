import type { HeadroomStrategy, LatencyWeights } from "./params.ts";

/** Predicted headroom and load of the candidates, by their place in the list; NaN in both headrooms where there is no prediction. */
export interface Headrooms {
  readonly ttftMs: Float64Array;
  readonly tpotMs: Float64Array;
  /** Requests on their way to the endpoint. */
  readonly dispatched: Float64Array;
}

/** Ranges up to this say nothing. */
const noRange = 1e-9;

const meeting = 1;
const idleMissing = 2;
const missesTpot = 3;
const missesTtft = 4;
const missesBoth = 5;

/** The group of an endpoint: the lowest that occurs is scored. `undefined` without a prediction. */
function groupOf(ttftMs: number, tpotMs: number, dispatched: number): number | undefined {
  if (Number.isNaN(ttftMs) || Number.isNaN(tpotMs)) return undefined;
  if (ttftMs >= 0 && tpotMs >= 0) return meeting;
  if (dispatched === 0) return idleMissing;
  if (ttftMs >= 0) return missesTpot;
  return tpotMs >= 0 ? missesTtft : missesBoth;
}

/**
 * Fills `out[i]` from the predictions: 0.01 to 1.01 in hundredths for the best group that occurs, 0 for all others.
 *
 * Groups, best first: both objectives met; missed, but nothing on its way to the endpoint; only the time per token
 * missed; only the first token missed; both missed. Within the first, `strategy` says whether little or much headroom is
 * better; within the others, what misses least is best. Without any prediction nothing is written and the answer is
 * false. O(n), no allocation.
 */
export function scoreHeadroom(
  headrooms: Headrooms,
  out: Float64Array,
  weights: LatencyWeights,
  strategy: HeadroomStrategy,
): boolean {
  const { ttftMs, tpotMs, dispatched } = headrooms;
  let best = Number.POSITIVE_INFINITY;
  for (let i = 0; i < out.length; i++) {
    const group = groupOf(ttftMs[i]!, tpotMs[i]!, dispatched[i]!);
    if (group !== undefined && group < best) best = group;
  }
  if (best === Number.POSITIVE_INFINITY) return false;

  let minTtft = Number.POSITIVE_INFINITY;
  let maxTtft = 0;
  let minTpot = Number.POSITIVE_INFINITY;
  let maxTpot = 0;
  for (let i = 0; i < out.length; i++) {
    if (groupOf(ttftMs[i]!, tpotMs[i]!, dispatched[i]!) !== best) continue;
    const ttft = magnitude(ttftMs[i]!);
    const tpot = magnitude(tpotMs[i]!);
    if (ttft < minTtft) minTtft = ttft;
    if (ttft > maxTtft) maxTtft = ttft;
    if (tpot < minTpot) minTpot = tpot;
    if (tpot > maxTpot) maxTpot = tpot;
  }

  const ttftRange = maxTtft - minTtft;
  const tpotRange = maxTpot - minTpot;
  let { ttft: alpha, tpot: beta } = weights;
  if (ttftRange <= noRange && tpotRange > noRange) {
    alpha = 0;
    beta = 1;
  } else if (tpotRange <= noRange && ttftRange > noRange) {
    alpha = 1;
    beta = 0;
  }
  const prefersMost = strategy === "most" && best === meeting;
  for (let i = 0; i < out.length; i++) {
    if (groupOf(ttftMs[i]!, tpotMs[i]!, dispatched[i]!) !== best) {
      out[i] = 0;
      continue;
    }
    const ttft = ttftRange > noRange ? (magnitude(ttftMs[i]!) - minTtft) / ttftRange : 0.5;
    const tpot = tpotRange > noRange ? (magnitude(tpotMs[i]!) - minTpot) / tpotRange : 0.5;
    const combined = alpha * ttft + beta * tpot;
    out[i] = hundredths(prefersMost ? combined : 1 - combined);
  }
  return true;
}

/** The share in whole hundredths, cut off and not rounded, and one more. */
export function hundredths(share: number): number {
  return (Math.trunc(share * 100) + 1) / 100;
}

/** What is infinite has a magnitude that can still be compared. */
function magnitude(headroomMs: number): number {
  return Math.min(Math.abs(headroomMs), Number.MAX_SAFE_INTEGER);
}
