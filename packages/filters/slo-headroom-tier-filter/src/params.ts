import { z } from "zod";

/** Whose predictions count, and how often endpoints that miss the objectives are tried. */
export interface SloHeadroomTierFilterParams {
  readonly epsilonExploreNeg: number;
  readonly latencyPredictionInfoProducerName: string;
}

export const sloHeadroomTierFilterParams: z.ZodType<SloHeadroomTierFilterParams> = z.strictObject({
  epsilonExploreNeg: z
    .number()
    .min(0)
    .max(1)
    .default(0.01)
    .describe("Probability of keeping the endpoints that are predicted to miss an objective instead of the others."),
  latencyPredictionInfoProducerName: z
    .string()
    .default("")
    .describe("Name of the producer of the predictions; empty is `predicted-latency-producer`."),
});
