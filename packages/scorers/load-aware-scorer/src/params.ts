import { z } from "zod";

/** At how many waiting requests an endpoint is full. */
export interface LoadAwareScorerParams {
  readonly threshold: number;
}

const defaultThreshold = 128;

export const loadAwareScorerParams: z.ZodType<LoadAwareScorerParams> = z.strictObject({
  threshold: z
    .int()
    .default(defaultThreshold)
    .transform((requests) => (requests > 0 ? requests : defaultThreshold))
    .describe("Waiting requests from which an endpoint scores 0; 0 and below count as 128."),
});
