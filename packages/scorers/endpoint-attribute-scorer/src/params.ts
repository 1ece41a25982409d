import { type AttributeKey, configuredMetric } from "@pointsman/core";
import { z } from "zod";

/** The range that is mapped to 0 to 1. */
export interface ValueRange {
  readonly min: number;
  readonly max: number;
}

/** The number that is scored, and how. */
export interface EndpointAttributeScorerParams {
  readonly key: AttributeKey<number>;
  readonly lowerIsBetter: boolean;
  /** `undefined`: the range of the candidates' numbers. */
  readonly fixedRange: ValueRange | undefined;
}

const fixedRange = z
  .strictObject({
    min: z.number().describe("Lower end; smaller numbers count as this."),
    max: z.number().describe("Upper end; larger numbers count as this."),
  })
  .refine(({ min, max }) => min < max, "min must be below max");

export const endpointAttributeScorerParams: z.ZodType<EndpointAttributeScorerParams> = z
  .strictObject({
    attributeKey: z
      .string()
      .min(1)
      .describe("Name of the number, such as an `attributeKey` of `core-metrics-extractor`."),
    producer: z
      .string()
      .optional()
      .describe(
        'Name of the plugin that writes it; absent is `core-metrics-extractor`, `""` is nobody in particular. Needed where the attribute contains `/`.',
      ),
    algorithm: z
      .strictObject({
        type: z
          .enum(["linear_lower_is_better", "linear_higher_is_better"])
          .describe("Which end of the range scores 1; between the ends the score is linear."),
        normalization: z
          .strictObject({
            fixedRange: fixedRange.optional().describe("A range of its own, the same for every request."),
            adaptiveRange: z
              .strictObject({})
              .optional()
              .describe("The range of the candidates' numbers, which is the default."),
          })
          .refine(
            (ranges) => ranges.fixedRange === undefined || ranges.adaptiveRange === undefined,
            "takes one of fixedRange and adaptiveRange, not both",
          )
          .default({})
          .describe("The range that is mapped to 0 to 1."),
      })
      .describe("The rule that turns the number into a score."),
  })
  .transform(({ attributeKey, producer, algorithm }, context) => {
    const key = configuredMetric(attributeKey, producer);
    if (typeof key === "string") {
      context.addIssue({ code: "custom", message: key, path: ["attributeKey"] });
      return z.NEVER;
    }
    return {
      key,
      lowerIsBetter: algorithm.type === "linear_lower_is_better",
      fixedRange: algorithm.normalization.fixedRange,
    };
  });
