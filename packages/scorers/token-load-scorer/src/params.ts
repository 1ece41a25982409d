import { z } from "zod";

/** At how many tokens an endpoint is full, and who counts them. */
export interface TokenLoadScorerParams {
  readonly queueThresholdTokens: number;
  readonly inFlightLoadProducerName: string;
}

const defaultThresholdTokens = 4_194_304;

export const tokenLoadScorerParams: z.ZodType<TokenLoadScorerParams> = z.strictObject({
  queueThresholdTokens: z
    .int()
    .default(defaultThresholdTokens)
    .transform((tokens) => (tokens > 0 ? tokens : defaultThresholdTokens))
    .describe("Tokens from which an endpoint scores 0; 0 and below count as 4194304."),
  inFlightLoadProducerName: z
    .string()
    .default("")
    .describe("Name of the producer of the counts; empty is `inflight-load-producer`."),
});
