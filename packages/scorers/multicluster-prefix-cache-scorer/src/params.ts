import { z } from "zod";

/** Whose matches are scored, and how much their length counts beside their share of the prompt. */
export interface MulticlusterPrefixCacheScorerParams {
  readonly prefixMatchInfoProducerName: string;
  readonly matchLengthWeight: number;
  readonly matchLengthScaleTokens: number;
}

export const multiclusterPrefixCacheScorerParams: z.ZodType<MulticlusterPrefixCacheScorerParams> = z
  .strictObject({
    prefixMatchInfoProducerName: z
      .string()
      .default("")
      .describe("Name of the producer of the matches; empty is `approx-prefix-cache-producer`."),
    matchLengthWeight: z
      .number()
      .min(0)
      .max(1)
      .default(0)
      .describe("Weight of the length of the match; the rest is the weight of its share of the prompt."),
    matchLengthScaleTokens: z
      .number()
      .default(8192)
      .describe("Tokens from which a match counts as long as can be. Above 0 when `matchLengthWeight` is."),
  })
  .superRefine(({ matchLengthWeight, matchLengthScaleTokens }, context) => {
    if (matchLengthWeight > 0 && matchLengthScaleTokens <= 0) {
      context.addIssue({
        code: "custom",
        message: `must be above 0 tokens when matchLengthWeight is above 0, not ${matchLengthScaleTokens}`,
        path: ["matchLengthScaleTokens"],
      });
    }
  });
