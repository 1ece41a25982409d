import { z } from "zod";

/** When an endpoint is busy. */
export interface ExampleAdmitterParams {
  readonly busyWaitingRequests: number;
}

export const exampleAdmitterParams: z.ZodType<ExampleAdmitterParams> = z.strictObject({
  busyWaitingRequests: z.int().min(1).default(16).describe("Waiting requests from which on an endpoint is busy."),
});
