import { type AnyPluginDefinition, definePlugin, IN_FLIGHT_LOAD } from "@pointsman/core";
import { type ActiveRequestScorerParams, activeRequestScorerParams } from "./params.ts";

/**
 * Fills `out[i]`: 1 for an endpoint with at most `idleThreshold` requests, for others
 * `(largest count − count) / largest count · maxBusyScore`, so that the busiest gets 0.
 *
 * `counts[i]` is NaN where the count is unknown: those get 0, as do counts nothing can have (below 0, infinite). Nothing
 * known: 1 for all, since there is nothing to tell them apart. Shape: `out.length === counts.length`. O(n), no
 * allocation.
 */
export function scoreActive(
  counts: Float64Array,
  out: Float64Array,
  { idleThreshold, maxBusyScore }: Pick<ActiveRequestScorerParams, "idleThreshold" | "maxBusyScore">,
): void {
  let max = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < counts.length; i++) {
    const count = counts[i]!;
    if (isCount(count) && count > max) max = count;
  }
  const nothingKnown = max === Number.NEGATIVE_INFINITY;
  for (let i = 0; i < counts.length; i++) {
    const count = counts[i]!;
    if (nothingKnown) out[i] = 1;
    else if (!isCount(count)) out[i] = 0;
    else out[i] = count <= idleThreshold ? 1 : ((max - count) / max) * maxBusyScore;
  }
}

function isCount(value: number): boolean {
  return value >= 0 && value < Number.POSITIVE_INFINITY;
}

export const activeRequestScorer: AnyPluginDefinition = definePlugin<ActiveRequestScorerParams>({
  type: "active-request-scorer",
  kind: "scorer",
  stability: "beta",
  summary: "1 = idle, 0 = most requests in flight among the candidates.",
  params: activeRequestScorerParams,
  consumes: ({ inFlightLoadProducerName }) => ({ required: [IN_FLIGHT_LOAD.from(inFlightLoadProducerName)] }),
  create(params, host) {
    for (const warning of params.warnings) host.logger.warn({}, warning);
    const loads = host.endpointReader(IN_FLIGHT_LOAD.from(params.inFlightLoadProducerName));
    let counts = new Float64Array(0);
    return {
      score(_request, endpoints, out) {
        if (counts.length !== endpoints.length) counts = new Float64Array(endpoints.length);
        for (let i = 0; i < endpoints.length; i++) counts[i] = loads.get(endpoints[i]!)?.requests ?? Number.NaN;
        scoreActive(counts, out, params);
      },
    };
  },
});
