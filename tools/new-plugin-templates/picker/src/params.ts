import { z } from "zod";

/** How many endpoints are compared. */
export interface ExamplePickerParams {
  readonly draws: number;
}

export const examplePickerParams: z.ZodType<ExamplePickerParams> = z.strictObject({
  draws: z.int().min(1).max(64).default(2).describe("Endpoints drawn at random; the best of them is picked."),
});
