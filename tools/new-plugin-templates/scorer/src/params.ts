import { z } from "zod";

/** What counts as a busy endpoint. */
export interface ExampleScorerParams {
  readonly busyRequests: number;
}

export const exampleScorerParams: z.ZodType<ExampleScorerParams> = z.strictObject({
  busyRequests: z.int().min(1).default(64).describe("Running requests from which on the score is 0."),
});
