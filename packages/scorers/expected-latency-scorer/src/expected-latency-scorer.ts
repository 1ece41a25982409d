import { type AnyPluginDefinition, definePlugin, EXPECTED_LATENCY } from "@pointsman/core";
import { type ExpectedLatencyScorerParams, expectedLatencyScorerParams } from "./params.ts";

/**
 * Turns costs into scores, in place: `least / cost`, so 1 for the least cost and half for twice as much. NaN is unknown
 * and becomes 0; a cost of 0 is the least there is. All unknown: 1 for all, since there is nothing to tell them apart.
 */
export function scoreCosts(costs: Float64Array): void {
  let least = Number.POSITIVE_INFINITY;
  for (let i = 0; i < costs.length; i++) if (costs[i]! < least) least = costs[i]!;
  if (least === Number.POSITIVE_INFINITY) {
    costs.fill(1);
    return;
  }
  for (let i = 0; i < costs.length; i++) {
    const cost = costs[i]!;
    costs[i] = cost <= least ? 1 : cost > least ? least / cost : 0;
  }
}

/** What a percent of the usual time to first token counts against a percent of the usual time to the end. */
const ttftShare = 0.5;

export const expectedLatencyScorer: AnyPluginDefinition = definePlugin<ExpectedLatencyScorerParams>({
  type: "expected-latency-scorer",
  kind: "scorer",
  stability: "alpha",
  summary: "1 = least expected cost to the request and the others, 0.5 = twice as much, 0 = unknown.",
  params: expectedLatencyScorerParams,
  consumes: ({ expectedLatencyProducerName }) => ({ required: [EXPECTED_LATENCY.from(expectedLatencyProducerName)] }),
  create(params, host) {
    const { ttftWeight, maxTtftWeight, decodeWeight, harmWeight, evictWeight } = params;
    const reader = host.requestReader(EXPECTED_LATENCY.from(params.expectedLatencyProducerName));
    return {
      score(request, endpoints, out) {
        const expected = reader.get(request);
        if (expected === undefined) {
          out.fill(1);
          return;
        }
        const { ttftMs, sparedMs, decodeMs, harmMs, evictMs, usualEndToEndRatio } = expected;
        const relativeWeight = ttftShare * usualEndToEndRatio;
        // Not known is NaN, which is not above.
        const ownWeight =
          relativeWeight > ttftWeight ? Math.max(ttftWeight, Math.min(maxTtftWeight, relativeWeight)) : ttftWeight;
        for (let i = 0; i < endpoints.length; i++) {
          const { slot } = endpoints[i]!;
          out[i] =
            ownWeight * Math.max(0, (ttftMs[slot] ?? Number.NaN) - (sparedMs[slot] ?? Number.NaN)) +
            decodeWeight * (decodeMs[slot] ?? Number.NaN) +
            harmWeight * (harmMs[slot] ?? Number.NaN) +
            evictWeight * (evictMs[slot] ?? Number.NaN);
        }
        scoreCosts(out);
      },
    };
  },
});
