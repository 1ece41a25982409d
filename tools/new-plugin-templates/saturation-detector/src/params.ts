import { z } from "zod";

/** When an endpoint is full. */
export interface ExampleSaturationDetectorParams {
  readonly fullWaitingRequests: number;
}

export const exampleSaturationDetectorParams: z.ZodType<ExampleSaturationDetectorParams> = z.strictObject({
  fullWaitingRequests: z.int().min(1).default(8).describe("Waiting requests at which an endpoint is full."),
});
