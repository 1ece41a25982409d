import { z } from "zod";

/** Whose predictions count. */
export interface LatencySloAdmitterParams {
  readonly latencyPredictionInfoProducerName: string;
}

export const latencySloAdmitterParams: z.ZodType<LatencySloAdmitterParams> = z.strictObject({
  latencyPredictionInfoProducerName: z
    .string()
    .default("")
    .describe("Name of the producer of the predictions; empty is `predicted-latency-producer`."),
});
