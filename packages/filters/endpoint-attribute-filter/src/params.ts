import { type AttributeKey, configuredMetric } from "@pointsman/core";
import { z } from "zod";

const operators = ["LessThan", "LessThanOrEqual", "GreaterThan", "GreaterThanOrEqual", "Equal", "NotEqual"] as const;

/** How an endpoint's number is compared with the threshold. */
export type ThresholdOperator = (typeof operators)[number];

/** The number that is looked at, and what it must be. */
export interface EndpointAttributeFilterParams {
  readonly key: AttributeKey<number>;
  readonly keepsMissing: boolean;
  readonly fallbackOnEmpty: boolean;
  readonly operator: ThresholdOperator;
  readonly value: number;
}

export const endpointAttributeFilterParams: z.ZodType<EndpointAttributeFilterParams> = z
  .strictObject({
    attribute: z.string().min(1).describe("Name of the number, such as an `attributeKey` of `core-metrics-extractor`."),
    producer: z
      .string()
      .optional()
      .describe(
        'Name of the plugin that writes it; absent is `core-metrics-extractor`, `""` is nobody in particular. Needed where the attribute contains `/`.',
      ),
    onMissing: z
      .enum(["Pass", "Fail"])
      .default("Pass")
      .describe("What happens to an endpoint without a fresh value: `Pass` keeps it, `Fail` drops it."),
    fallbackOnEmpty: z.boolean().default(false).describe("Keep all endpoints when none passes."),
    algorithm: z
      .strictObject({
        type: z.literal("threshold").describe("How endpoints are judged."),
        threshold: z
          .strictObject({
            operator: z.enum(operators).describe("Comparison of the endpoint's number with `value`."),
            value: z.number().describe("What the number is compared with."),
          })
          .describe("The comparison that must hold."),
      })
      .describe("The rule for keeping an endpoint."),
  })
  .transform(({ attribute, producer, onMissing, fallbackOnEmpty, algorithm }, context) => {
    const key = configuredMetric(attribute, producer);
    if (typeof key === "string") {
      context.addIssue({ code: "custom", message: key, path: ["attribute"] });
      return z.NEVER;
    }
    return { key, keepsMissing: onMissing === "Pass", fallbackOnEmpty, ...algorithm.threshold };
  });
