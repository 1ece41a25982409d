import { type AnyPluginDefinition, definePlugin, type Endpoint } from "@pointsman/core";
import { type EndpointAttributeFilterParams, endpointAttributeFilterParams, type ThresholdOperator } from "./params.ts";

/** Tells whether `number <operator> value` holds. */
export function meetsThreshold(number: number, operator: ThresholdOperator, value: number): boolean {
  switch (operator) {
    case "LessThan":
      return number < value;
    case "LessThanOrEqual":
      return number <= value;
    case "GreaterThan":
      return number > value;
    case "GreaterThanOrEqual":
      return number >= value;
    case "Equal":
      return number === value;
    case "NotEqual":
      return number !== value;
  }
}

export const endpointAttributeFilter: AnyPluginDefinition = definePlugin<EndpointAttributeFilterParams>({
  type: "endpoint-attribute-filter",
  kind: "filter",
  stability: "alpha",
  summary: "Keeps endpoints whose configured number is on the right side of a threshold.",
  params: endpointAttributeFilterParams,
  consumes: ({ key }) => ({ optional: [key] }),
  create({ key, keepsMissing, fallbackOnEmpty, operator, value }, host) {
    const numbers = host.endpointReader(key);
    const passes = (endpoint: Endpoint, nowMs: number): boolean => {
      const number: unknown = numbers.fresh(endpoint, nowMs);
      // The configuration may name an attribute that holds something else.
      if (typeof number !== "number" || Number.isNaN(number)) return keepsMissing;
      return meetsThreshold(number, operator, value);
    };
    return {
      filter(request, endpoints) {
        let kept: Endpoint[] | undefined;
        for (let i = 0; i < endpoints.length; i++) {
          const endpoint = endpoints[i]!;
          if (!passes(endpoint, request.nowMs)) kept ??= endpoints.slice(0, i);
          else kept?.push(endpoint);
        }
        return kept === undefined || (fallbackOnEmpty && kept.length === 0) ? endpoints : kept;
      },
    };
  },
});
