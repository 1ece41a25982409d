import { z } from "zod";

/** Which of two endpoints that meet the objectives is better: the one with less to spare, or with more. */
export type HeadroomStrategy = "least" | "most";

/** Shares of both latencies; their sum is 1. */
export interface LatencyWeights {
  readonly ttft: number;
  readonly tpot: number;
}

/** Shares of what is scored without a prediction; their sum is 1. */
export interface CompositeWeights {
  readonly kvCache: number;
  readonly queue: number;
  readonly prefix: number;
}

/** What counts how much, and whose predictions and matches it is. */
export interface LatencyScorerParams {
  readonly weights: LatencyWeights;
  readonly strategy: HeadroomStrategy;
  readonly composite: CompositeWeights;
  readonly latencyPredictionInfoProducerName: string;
  readonly prefixMatchInfoProducerName: string;
  /** What was given and is not used as it stands, for the log. */
  readonly warnings: readonly string[];
}

const weight = (standard: number, what: string) => z.number().min(0).default(standard).describe(what);

export const latencyScorerParams: z.ZodType<LatencyScorerParams> = z
  .strictObject({
    ttftWeight: weight(0.8, "Weight of the time to the first token."),
    tpotWeight: weight(0.2, "Weight of the time per output token. Both weights 0: only the first token counts."),
    headroomSelectionStrategy: z
      .string()
      .default("least")
      .describe(
        "`least` prefers endpoints that meet the objectives with little to spare, `most` those with much; anything else counts as `least`.",
      ),
    compositeKVWeight: weight(1, "Without predictions: weight of the free KV cache."),
    compositeQueueWeight: weight(1, "Without predictions: weight of the short queue."),
    compositePrefixWeight: weight(
      1,
      "Without predictions: weight of the prompt's share that is cached. All three 0: only the free KV cache counts.",
    ),
    latencyPredictionInfoProducerName: z
      .string()
      .default("")
      .describe("Name of the producer of the predictions; empty is `predicted-latency-producer`."),
    prefixMatchInfoProducerName: z
      .string()
      .default("")
      .describe("Name of the producer of the matches; empty is `approx-prefix-cache-producer`."),
  })
  .transform((given) => {
    const { headroomSelectionStrategy: strategy } = given;
    const latency = given.ttftWeight + given.tpotWeight;
    const composite = given.compositeKVWeight + given.compositeQueueWeight + given.compositePrefixWeight;
    return {
      weights:
        latency > 0 ? { ttft: given.ttftWeight / latency, tpot: given.tpotWeight / latency } : { ttft: 1, tpot: 0 },
      strategy: strategy === "most" ? "most" : "least",
      composite:
        composite > 0
          ? {
              kvCache: given.compositeKVWeight / composite,
              queue: given.compositeQueueWeight / composite,
              prefix: given.compositePrefixWeight / composite,
            }
          : { kvCache: 1, queue: 0, prefix: 0 },
      latencyPredictionInfoProducerName: given.latencyPredictionInfoProducerName,
      prefixMatchInfoProducerName: given.prefixMatchInfoProducerName,
      warnings:
        strategy === "least" || strategy === "most"
          ? []
          : ["parameter headroomSelectionStrategy is neither least nor most and counts as least"],
    };
  });
