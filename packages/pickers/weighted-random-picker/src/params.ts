import { z } from "zod";

/** How many endpoints the picker returns. */
export interface WeightedRandomPickerParams {
  readonly maxNumOfEndpoints: number;
}

export const weightedRandomPickerParams: z.ZodType<WeightedRandomPickerParams> = z.strictObject({
  maxNumOfEndpoints: z
    .int()
    .default(1)
    .transform((count) => Math.max(1, count))
    .describe("Endpoints to return, in the order drawn; all when there are fewer. 0 and below count as 1."),
});
