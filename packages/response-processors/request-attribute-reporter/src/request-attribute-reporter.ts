import { type AnyPluginDefinition, definePlugin } from "@pointsman/core";
import { type RequestAttributeReporterParams, requestAttributeReporterParams } from "./params.ts";
import { compileUsageExpression, type UsageFields, usageFields } from "./usage-expression.ts";

const numberTypes = ["double", "int"];

export const requestAttributeReporter: AnyPluginDefinition = definePlugin<RequestAttributeReporterParams>({
  type: "request-attribute-reporter",
  kind: "response-processor",
  stability: "beta",
  summary: "Reports a number computed from an answer's token counts to the proxy as dynamic metadata.",
  params: requestAttributeReporterParams,
  readsBody: ["response"],
  create({ attributes: [{ key, expression, condition }] }, host) {
    const value = compileUsageExpression("attributes[0].expression", expression, numberTypes);
    const wanted =
      condition === undefined || condition === ""
        ? undefined
        : compileUsageExpression("attributes[0].condition", condition, ["bool"]);
    let failures = 0;

    const evaluate = (usage: UsageFields): unknown => {
      try {
        return wanted === undefined || wanted.evaluate(usage) === true ? value.evaluate(usage) : undefined;
      } catch (thrown: unknown) {
        failures++;
        if (failures === 1) {
          const error = thrown instanceof Error ? thrown.message : String(thrown);
          host.logger.warn({ error }, "an answer has no value to report; further ones are counted in the dumped state");
        }
        return undefined;
      }
    };

    return {
      responseBody(_request, _result, event) {
        // Only what stands at the end of an answer is sent.
        if (!event.endOfStream) return;
        const number = reportedNumber(evaluate(usageFields(event.usage)));
        if (number !== undefined) event.setDynamicMetadata(key.namespace, key.name, number);
      },

      dumpState: () => ({ failures }),
    };
  },
});

/** A value as it is reported: whole, `undefined` for what is no number, infinite, 0 or -1. */
export function reportedNumber(value: unknown): number | undefined {
  const number = typeof value === "bigint" ? Number(value) : value;
  if (typeof number !== "number" || !Number.isFinite(number)) return undefined;
  const whole = Math.trunc(number);
  return whole === 0 || whole === -1 ? undefined : whole;
}
