import { z } from "zod";

export interface ExpectedLatencyParams {
  readonly prefixMatchInfoProducerName: string;
}

export const expectedLatencyParams: z.ZodType<ExpectedLatencyParams> = z.strictObject({
  prefixMatchInfoProducerName: z
    .string()
    .default("")
    .describe("Name of the producer of prefix matches; empty is `approx-prefix-cache-producer`."),
});
