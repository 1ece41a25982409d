import { z } from "zod";

/** How many endpoints the picker returns. */
export interface RandomPickerParams {
  readonly maxNumOfEndpoints: number;
}

export const randomPickerParams: z.ZodType<RandomPickerParams> = z.strictObject({
  maxNumOfEndpoints: z
    .int()
    .default(1)
    .transform((count) => Math.max(1, count))
    .describe("Endpoints to return; all when there are fewer. 0 and below count as 1."),
});
