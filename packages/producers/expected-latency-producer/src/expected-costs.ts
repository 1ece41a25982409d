import type { EndpointWork } from "./endpoint-work.ts";
import type { PoolModel } from "./pool-model.ts";

/** Room in an endpoint's KV cache, in tokens as counted here. */
export interface CacheRoom {
  readonly capacityTokens: number;
  readonly usedTokens: number;
}

/** What counts of the work that an endpoint has. */
export type PlacedWork = Pick<
  EndpointWork,
  "slowness" | "present" | "pendingTokens" | "contextTokens" | "decoding" | "backlogMs"
>;

/** What a request is expected to see and to cause on one endpoint, milliseconds. */
export interface ExpectedCosts {
  ttftMs: number;
  queueMs: number;
  memoryMs: number;
  prefillMs: number;
  decodeMs: number;
  harmMs: number;
  evictMs: number;
}

/**
 * Estimates what choosing an endpoint costs. Writes to `out` and allocates nothing.
 *
 * - queue: prompts sent before and not computed yet;
 * - prefill: this prompt, the part that is not cached;
 * - memory: when prompt and answer do not fit into what is free, the time until running answers have given back enough;
 * - decode: steps of the answer, each as long as the context of all sequences makes it;
 * - harm: all who are there wait while this prompt is computed, and each of their steps gets longer by this context;
 * - evict: computing tokens displaces as many from the cache, of which the share that prompts usually find again will
 *   have to be computed once more.
 */
export function estimateCosts(
  model: PoolModel,
  work: PlacedWork,
  request: { readonly promptTokens: number; readonly cachedTokens: number; readonly outputTokens: number },
  room: CacheRoom | undefined,
  nowMs: number,
  out: ExpectedCosts,
): void {
  const { promptTokens, cachedTokens, outputTokens } = request;
  const { slowness, present } = work;
  const uncachedTokens = promptTokens - cachedTokens;
  const halfAnswer = outputTokens / 2;
  const prefillMs = model.prefillMs(uncachedTokens, cachedTokens) * slowness;
  const queueMs = work.backlogMs(nowMs);
  const stepMs = model.stepMs(work.contextTokens + work.decoding * halfAnswer) * slowness;
  const addedStepMs = model.stepMsPerToken * (promptTokens + halfAnswer) * slowness;
  let memoryMs = 0;
  if (room !== undefined) {
    const wantedTokens = work.pendingTokens + present * halfAnswer + uncachedTokens + outputTokens;
    const lackingTokens = room.usedTokens + wantedTokens - room.capacityTokens;
    // Within the steps of one answer, all that is in use now is given back.
    if (lackingTokens > 0) memoryMs = (lackingTokens / Math.max(1, room.usedTokens)) * outputTokens * stepMs;
  }
  out.queueMs = queueMs;
  out.memoryMs = memoryMs;
  out.prefillMs = prefillMs;
  out.ttftMs = Math.max(queueMs + model.fixedMs * slowness, memoryMs) + prefillMs;
  out.decodeMs = (outputTokens - 1) * (stepMs + addedStepMs);
  out.harmMs = present * (prefillMs + addedStepMs * halfAnswer);
  out.evictMs = prefillMs * model.reuse;
}
