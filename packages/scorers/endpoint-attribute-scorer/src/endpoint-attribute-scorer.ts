import { type AnyPluginDefinition, definePlugin } from "@pointsman/core";
import { type EndpointAttributeScorerParams, endpointAttributeScorerParams, type ValueRange } from "./params.ts";

/**
 * Fills `out[i]` with the place of `numbers[i]` in a range, 0 to 1; turned around where lower is better.
 *
 * `numbers[i]` is NaN where the number is unknown: those get 0. Without a fixed range it is that of the known numbers;
 * when they are all equal, each gets 1. Shape: `out.length === numbers.length`. O(n), no allocation.
 */
export function scoreLinear(
  numbers: Float64Array,
  out: Float64Array,
  fixedRange: ValueRange | undefined,
  lowerIsBetter: boolean,
): void {
  let min = fixedRange?.min ?? Number.POSITIVE_INFINITY;
  let max = fixedRange?.max ?? Number.NEGATIVE_INFINITY;
  if (fixedRange === undefined) {
    for (let i = 0; i < numbers.length; i++) {
      const number = numbers[i]!;
      if (number < min) min = number;
      if (number > max) max = number;
    }
  }
  // Halves of what is too far apart to subtract.
  const scale = max - min === Number.POSITIVE_INFINITY ? 0.5 : 1;
  for (let i = 0; i < numbers.length; i++) {
    const number = numbers[i]!;
    if (Number.isNaN(number)) out[i] = 0;
    else if (min === max) out[i] = 1;
    else {
      const place = Math.max(0, Math.min(1, (number * scale - min * scale) / (max * scale - min * scale)));
      out[i] = lowerIsBetter ? 1 - place : place;
    }
  }
}

export const endpointAttributeScorer: AnyPluginDefinition = definePlugin<EndpointAttributeScorerParams>({
  type: "endpoint-attribute-scorer",
  kind: "scorer",
  stability: "alpha",
  summary: "1 = the configured number is at the good end of its range, 0 = at the bad end or unknown.",
  params: endpointAttributeScorerParams,
  consumes: ({ key }) => ({ optional: [key] }),
  create({ key, lowerIsBetter, fixedRange }, host) {
    const reader = host.endpointReader(key);
    let numbers = new Float64Array(0);
    return {
      score(request, endpoints, out) {
        if (numbers.length !== endpoints.length) numbers = new Float64Array(endpoints.length);
        for (let i = 0; i < endpoints.length; i++) {
          const number: unknown = reader.fresh(endpoints[i]!, request.nowMs);
          // The configuration may name an attribute that holds something else. A range has no infinite end.
          numbers[i] = typeof number === "number" && Number.isFinite(number) ? number : Number.NaN;
        }
        scoreLinear(numbers, out, fixedRange, lowerIsBetter);
      },
    };
  },
});
