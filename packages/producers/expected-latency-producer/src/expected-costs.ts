import type { ExpectedLatency } from "@pointsman/core";
import { attentionPairs, type PoolModel } from "./pool-model.ts";
import { lateOrLeftMs, type WorkTable } from "./work-table.ts";

/** The endpoints a request may go to, and what differs between them for it. Arrays are aligned, one entry for each. */
export interface Candidates {
  readonly table: WorkTable;
  /** Their rows in the table. */
  readonly rows: Uint32Array;
  /** Their slots, and one more than the highest. */
  readonly slots: Uint32Array;
  readonly slotTableLength: number;
  /** Prompt tokens in the endpoint's cache. */
  readonly cachedTokens: Float64Array;
  /** Of those to compute, how many count as computed for later requests, which find them in the cache. */
  readonly sparedTokens: Float64Array;
  /** Size of the KV cache and what of it is in use, in tokens as counted here; without limit where it is not known. */
  readonly capacityTokens: Float64Array;
  readonly usedTokens: Float64Array;
}

/** What a request asks of an endpoint, whichever it is. */
export interface AskedTokens {
  readonly promptTokens: number;
  /** Of them, those that no candidate holds. */
  readonly newTokens: number;
  readonly outputTokens: number;
}

/**
 * Estimates what choosing each candidate costs. Writes by slot and allocates nothing: what is the same for all candidates is
 * computed before the first, and no array is looked up for each.
 *
 * - queue: prompts sent before and not computed yet;
 * - prefill: this prompt, the part that is not cached;
 * - memory: when prompt and answer do not fit into what is free, the time until running answers have given back enough;
 * - decode: steps of the answer, each as long as the context of all sequences makes it;
 * - harm: all who are there wait while this prompt is computed, and each of their steps gets longer by this context; for
 *   as long as that holds them up, further prompts are computed before them; who comes later for what is new in this prompt
 *   is delayed by all who come there for what was new before;
 * - evict: computing tokens displaces as many from the cache, of which the share that prompts usually find again will
 *   have to be computed once more.
 */
export function estimateCosts(
  model: PoolModel,
  candidates: Candidates,
  { promptTokens, newTokens, outputTokens }: AskedTokens,
  nowMs: number,
  { ttftMs, queueMs, memoryMs, prefillMs, sparedMs, decodeMs, harmMs, evictMs }: ExpectedLatency,
): void {
  const { table, rows, slots, cachedTokens, sparedTokens, capacityTokens, usedTokens } = candidates;
  const { queued, queuedMs, queuedTokens, headSinceMs, decoding, foreign, foreignWaiting } = table;
  const { usualPresent, usualContextTokens, stretch, prefillFactor, stepFactor } = table;
  const { reuse, meanPromptTokens, meanPrefillMs, halfAnswerTokens } = model;
  const { fixedMs, perContextTokenMs, perTokenMs, perPairMs, stepFixedMs, stepPerTokenMs } = model.relations();
  const halfAnswer = outputTokens / 2;
  const usualAddedStepMs = stepPerTokenMs * (promptTokens + halfAnswer);
  const overlap = model.overlap(outputTokens);
  const followMs = followMsPerToken(model, candidates, { promptTokens, newTokens, outputTokens }, stepPerTokenMs);
  for (let i = 0; i < rows.length; i++) {
    const row = rows[i]!;
    const slot = slots[i]!;
    const cached = cachedTokens[i]!;
    const uncached = promptTokens - cached;
    const waitingHere = queued[row]!;
    const waitingOfOthers = foreignWaiting[row]!;
    const decodingOfOthers = foreign[row]! - waitingOfOthers;
    const present = waitingHere + decoding[row]! + foreign[row]!;
    const contextTokens =
      table.promptTokens[row]! +
      decodingOfOthers * meanPromptTokens +
      (decoding[row]! + decodingOfOthers) * halfAnswerTokens;

    const prefill = (perTokenMs * uncached + perPairMs * attentionPairs(uncached, cached)) * prefillFactor[row]!;
    let queue = waitingOfOthers * meanPrefillMs * prefillFactor[row]!;
    if (waitingHere > 0) queue += lateOrLeftMs(queuedMs[row]! * prefillFactor[row]!, headSinceMs[row]!, nowMs);

    // Who is there leaves while this one decodes, and as many come instead as usually are there.
    const meanContextTokens = contextTokens * overlap + usualContextTokens[row]! * (1 - overlap);
    const crowd = present * overlap + usualPresent[row]! * (1 - overlap);
    const step = (stepFixedMs + stepPerTokenMs * meanContextTokens) * stepFactor[row]!;
    const addedStep = usualAddedStepMs * stepFactor[row]!;

    const used = usedTokens[i]!;
    const arrivingTokens = queuedTokens[row]! + waitingOfOthers * meanPromptTokens;
    const lackingTokens = used + arrivingTokens + present * halfAnswer + uncached + outputTokens - capacityTokens[i]!;
    // Within the steps of one answer, all that is in use now is given back.
    const memory = lackingTokens > 0 ? (lackingTokens / Math.max(1, used)) * outputTokens * step : 0;

    const spared = sparedTokens[i]! > 0 && uncached > 0 ? prefill * Math.min(1, sparedTokens[i]! / uncached) : 0;
    const shared = (fixedMs + perContextTokenMs * contextTokens) * stepFactor[row]!;
    queueMs[slot] = queue;
    memoryMs[slot] = memory;
    prefillMs[slot] = prefill;
    sparedMs[slot] = spared;
    ttftMs[slot] = Math.max(queue + shared, memory) + prefill;
    decodeMs[slot] = (outputTokens - 1) * (step + addedStep) * stretch[row]!;
    harmMs[slot] =
      (present * (prefill - spared) + crowd * addedStep * outputTokens) * stretch[row]! +
      followMs * (table.newTokens[row]! + meanPromptTokens);
    evictMs[slot] = (prefill - spared) * reuse;
  }
}

/**
 * What is new in a prompt brings requests later to the endpoint that computes it, as what was new before does. So, as far as
 * requests follow what is cached, the load there is expected to be in proportion to what was new there, one usual prompt
 * included, and those who come are delayed by it. Returns their delay for each such token, milliseconds; O(candidates).
 */
function followMsPerToken(
  { reuse, followers, meanPromptTokens }: PoolModel,
  { table, rows }: Candidates,
  { promptTokens, newTokens, outputTokens }: AskedTokens,
  stepPerTokenMs: number,
): number {
  if (!(newTokens > 0 && followers > 0)) return 0;
  const { usualContextTokens, newTokens: newThere } = table;
  let contextTokens = 0;
  let allNewTokens = rows.length * meanPromptTokens;
  for (let i = 0; i < rows.length; i++) {
    const row = rows[i]!;
    contextTokens += usualContextTokens[row]!;
    allNewTokens += newThere[row]!;
  }
  if (!(allNewTokens > 0)) return 0;
  const delayMs = outputTokens * stepPerTokenMs * contextTokens * reuse;
  return (followers * (newTokens / promptTokens) * delayMs) / allNewTokens;
}
