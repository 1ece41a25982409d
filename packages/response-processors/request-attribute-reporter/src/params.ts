import { z } from "zod";

/** What is reported, and under which key. */
export interface RequestAttributeReporterParams {
  readonly attributes: readonly [ReportedAttribute];
}

/** One number in the proxy's dynamic metadata. */
export interface ReportedAttribute {
  readonly key: { readonly namespace: string; readonly name: string };
  readonly expression: string;
  readonly condition?: string | undefined;
}

/** Longest expression or condition, characters. */
export const maxExpressionChars = 4096;

const defaultNamespace = "envoy.lb";

const attribute = z.strictObject({
  key: z
    .strictObject({
      namespace: z
        .string()
        .max(256)
        .default(defaultNamespace)
        .transform((namespace) => (namespace === "" ? defaultNamespace : namespace))
        .describe("Namespace in the dynamic metadata; empty is `envoy.lb`."),
      name: z.string().min(1).max(256).describe("Key in the namespace."),
    })
    .describe("Where the number stands in the proxy's dynamic metadata."),
  expression: z
    .string()
    .min(1)
    .max(maxExpressionChars)
    .describe("CEL expression over `usage` whose number is reported."),
  condition: z
    .string()
    .max(maxExpressionChars)
    .optional()
    .describe("CEL expression over `usage`; unless it is true, nothing is reported. Empty is none."),
});

export const requestAttributeReporterParams: z.ZodType<RequestAttributeReporterParams> = z.strictObject({
  attributes: z
    .array(attribute)
    .length(1, { error: "must contain exactly one attribute" })
    .transform(([first], context): readonly [ReportedAttribute] => {
      if (first !== undefined) return [first];
      context.addIssue({ code: "custom", message: "must contain exactly one attribute" });
      return z.NEVER;
    })
    .describe("What is reported: exactly one attribute."),
});
