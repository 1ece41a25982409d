import { z } from "zod";

/** When an endpoint counts as full, and how steeply refusals grow with the pool's saturation. */
export interface ProbabilisticAdmitterParams {
  readonly queueDepthThreshold: number;
  readonly kvCacheUtilThreshold: number;
  readonly power: number;
  readonly k: number;
}

export const probabilisticAdmitterParams: z.ZodType<ProbabilisticAdmitterParams> = z.strictObject({
  queueDepthThreshold: z.number().positive().default(5).describe("Waiting requests at which an endpoint is full."),
  kvCacheUtilThreshold: z
    .number()
    .positive()
    .default(0.8)
    .describe("Share of the KV cache in use at which an endpoint is full."),
  power: z
    .number()
    .positive()
    .default(5)
    .describe("Exponent of the saturation: the higher, the later refusals set in."),
  k: z.number().positive().default(300).describe("Factor of the probability: the higher, the earlier all are refused."),
});
