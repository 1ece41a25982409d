import { z } from "zod";

/** How long a waiting queue may be. */
export interface ExampleFilterParams {
  readonly maxWaitingRequests: number;
}

export const exampleFilterParams: z.ZodType<ExampleFilterParams> = z.strictObject({
  maxWaitingRequests: z.int().min(0).default(8).describe("Waiting requests up to which an endpoint is kept."),
});
