import { z } from "zod";

/** From which share of the prompt an endpoint is kept, and how long a wait that is worth. */
export interface PrefixCacheAffinityFilterParams {
  readonly affinityThreshold: number;
  readonly explorationProbability: number;
  readonly maxTTFTPenaltyMs: number;
  readonly ttftSource: "prefillThroughput" | "latencyPredictor";
  readonly peakPrefillThroughput: number;
  readonly prefixMatchInfoProducerName: string;
  readonly latencyPredictionInfoProducerName: string;
  readonly inFlightLoadProducerName: string;
}

export const prefixCacheAffinityFilterParams: z.ZodType<PrefixCacheAffinityFilterParams> = z
  .strictObject({
    affinityThreshold: z
      .number()
      .max(1)
      .default(0.8)
      .describe("Share of the prompt from which an endpoint is kept; 0 and below switch the filter off."),
    explorationProbability: z.number().min(0).max(1).default(0).describe("Probability of keeping all endpoints."),
    maxTTFTPenaltyMs: z
      .number()
      .min(0)
      .default(18_000)
      .describe(
        "Milliseconds that the best of the endpoints with the prompt may take longer to the first token than the best of the others; 0 is without limit.",
      ),
    ttftSource: z
      .enum(["prefillThroughput", "latencyPredictor"])
      .default("prefillThroughput")
      .describe(
        "How the time to the first token is estimated: from the tokens in flight, or from a latency prediction.",
      ),
    peakPrefillThroughput: z
      .number()
      .min(0)
      .default(15_928)
      .describe("Tokens an endpoint computes in a second, for `prefillThroughput`."),
    prefixMatchInfoProducerName: z
      .string()
      .default("")
      .describe("Name of the producer of the matches; empty is `approx-prefix-cache-producer`."),
    latencyPredictionInfoProducerName: z
      .string()
      .default("")
      .describe("Name of the producer of the predictions; empty is `predicted-latency-producer`."),
    inFlightLoadProducerName: z
      .string()
      .default("")
      .describe("Name of the producer of the tokens in flight; empty is `inflight-load-producer`."),
  })
  .superRefine(({ maxTTFTPenaltyMs, ttftSource, peakPrefillThroughput }, context) => {
    if (ttftSource === "prefillThroughput" && maxTTFTPenaltyMs > 0 && peakPrefillThroughput <= 0) {
      context.addIssue({
        code: "custom",
        message: "must be above 0 tokens a second with ttftSource prefillThroughput and a maxTTFTPenaltyMs above 0",
        path: ["peakPrefillThroughput"],
      });
    }
  });
