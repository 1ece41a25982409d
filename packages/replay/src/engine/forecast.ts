import { unsharedKey, type WorkloadRequest } from "../workload/workload.ts";
import { decodeStepMs, prefillMs } from "./engine-model.ts";
import type { Sequence, SimulatedEngine } from "./simulated-engine.ts";

/** What a request submitted now would see and cause on a server, estimated from all that the server knows. */
export interface Forecast {
  readonly ttftMs: number;
  /** From the first to the last token. */
  readonly decodeMs: number;
  /** Delay caused to the requests that are there, summed over them. */
  readonly harmMs: number;
  /** Prompt tokens to compute. */
  readonly computeTokens: number;
}

/** Looks into a server: queue, progress, cache, lengths of answers, none of which a picker can see. */
export function forecast(engine: SimulatedEngine, request: WorkloadRequest): Forecast {
  const { model } = engine;
  const cacheable = engine.cacheableBlocks(request);
  const outputTokens = request.output.tokens;
  let hits = engine.cache.matched(request.keys, cacheable);
  let backlogMs = 0;
  let backlogTokens = 0;
  let decoding = 0;
  let contextTokens = 0;
  let queuedBlocks = 0;
  /** Decode steps that requests there would spend together with this one. */
  let sharedSteps = 0;
  const isAhead = (sequence: Sequence, leftTokens: number): void => {
    const other = sequence.request;
    hits = Math.max(hits, sharedBlocks(request, other, Math.min(cacheable, engine.cacheableBlocks(other))));
    backlogTokens += leftTokens;
    backlogMs += prefillMs(model, other.promptTokens - leftTokens, leftTokens);
    sharedSteps += Math.min(outputTokens, other.output.tokens);
  };
  for (const sequence of engine.running) {
    const leftTokens = sequence.request.promptTokens - sequence.computedTokens;
    if (leftTokens > 0) {
      isAhead(sequence, leftTokens);
      continue;
    }
    decoding++;
    contextTokens += sequence.request.promptTokens + sequence.outputTokens;
    sharedSteps += Math.min(outputTokens, sequence.request.output.tokens - sequence.outputTokens);
  }
  for (const sequence of engine.queued()) {
    isAhead(sequence, sequence.expectedTokens);
    const cachedTokens = sequence.request.promptTokens - sequence.expectedTokens;
    queuedBlocks += engine.blocksFor(sequence.request) - Math.floor(cachedTokens / model.blockTokens);
  }
  const cachedTokens = hits * model.blockTokens;
  const computeTokens = request.promptTokens - cachedTokens;
  const ownMs = prefillMs(model, cachedTokens, computeTokens) / engine.speed;
  const stepMs = decodeStepMs(model, decoding, contextTokens) / engine.speed;
  const steps = Math.ceil((backlogTokens + computeTokens) / Math.max(1, model.maxBatchedTokens - decoding));
  let ttftMs = engine.stepLeftMs + backlogMs / engine.speed + ownMs + stepMs * steps;
  const lackingBlocks = queuedBlocks + engine.blocksFor(request) - hits - engine.unclaimedBlocks;
  if (lackingBlocks > 0) ttftMs = Math.max(ttftMs, stepsToFree(engine, lackingBlocks) * stepMs + ownMs);
  const addedMs =
    (model.stepPerSequenceMs + (model.stepPer1kContextMs * (request.promptTokens + outputTokens / 2)) / 1000) /
    engine.speed;
  return {
    ttftMs,
    decodeMs: (outputTokens - 1) * (stepMs + addedMs),
    harmMs: ownMs * engine.present + addedMs * sharedSteps,
    computeTokens,
  };
}

/** Leading blocks two prompts have in common. Keys are chained, so once they differ, or are unshared, they stay so. */
function sharedBlocks(a: WorkloadRequest, b: WorkloadRequest, limit: number): number {
  let low = 0;
  let high = limit;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    const key = a.keys[middle - 1];
    if (key !== unsharedKey && key === b.keys[middle - 1]) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** Steps until running sequences have given back so many blocks. */
function stepsToFree(engine: SimulatedEngine, blocks: number): number {
  const ending = engine.running
    .map((sequence) => ({
      steps: sequence.request.output.tokens - sequence.outputTokens,
      blocks: Math.max(
        1,
        sequence.blocks.length + sequence.reservedBlocks - sequence.cachedTokens / engine.model.blockTokens,
      ),
    }))
    .sort((a, b) => a.steps - b.steps);
  let left = blocks;
  let steps = 0;
  for (const each of ending) {
    if (left <= 0) break;
    left -= each.blocks;
    steps = each.steps;
  }
  return steps;
}
