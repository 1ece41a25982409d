import { z } from "zod";

/** How many endpoints the picker returns. */
export interface MaxScorePickerParams {
  readonly maxNumOfEndpoints: number;
}

export const maxScorePickerParams: z.ZodType<MaxScorePickerParams> = z.strictObject({
  maxNumOfEndpoints: z
    .int()
    .default(1)
    .transform((count) => Math.max(1, count))
    .describe("Endpoints to return, best first; all when there are fewer. 0 and below count as 1."),
});
