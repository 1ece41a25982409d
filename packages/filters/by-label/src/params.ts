import { z } from "zod";

/** The label and the values that are kept. */
export interface ByLabelParams {
  readonly label: string;
  readonly validValues: readonly string[];
  readonly allowsNoLabel: boolean;
}

export const byLabelParams: z.ZodType<ByLabelParams> = z
  .strictObject({
    label: z.string().min(1).describe("Label that is looked at."),
    validValues: z
      .array(z.string({ error: "must be text: put it in quotes" }))
      .default([])
      .describe("Values of the label that are kept."),
    allowsNoLabel: z.boolean().default(false).describe("Keep endpoints without the label."),
  })
  .superRefine(({ validValues, allowsNoLabel }, context) => {
    if (validValues.length === 0 && !allowsNoLabel) {
      context.addIssue({
        code: "custom",
        message: "needs at least one value unless allowsNoLabel is true: nothing would be kept",
        path: ["validValues"],
      });
    }
  });
