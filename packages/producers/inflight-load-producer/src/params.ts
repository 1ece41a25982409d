import { z } from "zod";

/** What counts as a request's tokens, and whose prefix matches are taken off. */
export interface InflightLoadParams {
  readonly addEstimatedOutputTokens: boolean;
  readonly outputRatio: number;
  readonly maxEstimatedOutputTokens?: number | undefined;
  readonly prefixMatchInfoProducerName: string;
  readonly syncCrossReplicaState: boolean;
}

export const inflightLoadParams: z.ZodType<InflightLoadParams> = z.strictObject({
  addEstimatedOutputTokens: z
    .boolean()
    .default(false)
    .describe("Count an estimate of the answer's tokens too, and hold all tokens until the answer ends."),
  outputRatio: z
    .number()
    .min(0)
    .max(1000)
    .default(1.5)
    .describe("Estimated tokens of an answer for each token of the prompt."),
  maxEstimatedOutputTokens: z
    .int()
    .min(0)
    .optional()
    .describe("Most tokens an answer is estimated at; what the client allows is a limit anyway."),
  prefixMatchInfoProducerName: z
    .string()
    .default("")
    .describe("Name of the producer of prefix matches; empty is `approx-prefix-cache-producer`."),
  syncCrossReplicaState: z
    .boolean()
    .default(true)
    .describe("Accepted and without effect: each process counts its own requests."),
});
