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
  | "speed"
  | "present"
  | "pendingTokens"
  | "contextTokens"
  | "stretch"
  | "usualPresent"
  | "usualContextTokens"
  | "backlogMs"
>;

/** What a request asks of an endpoint. */
export interface AskedTokens {
  readonly promptTokens: number;
  readonly cachedTokens: number;
  readonly outputTokens: number;
  /** Share of the answer's steps in which one that is in the making still is: of {@link PoolModel.overlap}. */
  readonly overlap: number;
  /** Of those to compute, how many count as computed for later requests, which find them in the cache. */
  readonly sparedTokens: number;
}

/** What a request is expected to see and to cause on one endpoint, milliseconds. */
export interface ExpectedCosts {
  ttftMs: number;
  queueMs: number;
  memoryMs: number;
  prefillMs: number;
  sparedMs: number;
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
  request: AskedTokens,
  room: CacheRoom | undefined,
  nowMs: number,
  out: ExpectedCosts,
): void {
  const { promptTokens, cachedTokens, outputTokens, overlap } = request;
  const { speed, present, contextTokens } = work;
  const uncachedTokens = promptTokens - cachedTokens;
  const halfAnswer = outputTokens / 2;
  const prefillMs = model.prefillMs(uncachedTokens, cachedTokens) * speed.prefill;
  const queueMs = work.backlogMs(nowMs);
  // Who is there leaves while this one decodes, and as many come instead as usually are there.
  const stepMs = model.stepMs(contextTokens * overlap + work.usualContextTokens * (1 - overlap)) * speed.step;
  const addedStepMs = model.stepMsPerToken * (promptTokens + halfAnswer) * speed.step;
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
  out.ttftMs = Math.max(queueMs + model.sharedMs(contextTokens) * speed.step, memoryMs) + prefillMs;
  out.decodeMs = (outputTokens - 1) * (stepMs + addedStepMs) * work.stretch;
  const sparedMs = uncachedTokens > 0 ? prefillMs * Math.min(1, request.sparedTokens / uncachedTokens) : 0;
  out.sparedMs = sparedMs;
  const crowd = present * overlap + work.usualPresent * (1 - overlap);
  out.harmMs = present * (prefillMs - sparedMs) + crowd * addedStepMs * outputTokens;
  out.evictMs = (prefillMs - sparedMs) * model.reuse;
}
