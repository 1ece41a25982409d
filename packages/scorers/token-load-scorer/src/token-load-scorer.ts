import { type AnyPluginDefinition, definePlugin, IN_FLIGHT_LOAD, UNCACHED_REQUEST_TOKENS } from "@pointsman/core";
import { type TokenLoadScorerParams, tokenLoadScorerParams } from "./params.ts";

/**
 * Fills `out[i]`: `1 − tokens / thresholdTokens`, 0 from the threshold on.
 *
 * `tokens[i]` is NaN where the load is unknown: those get 0, as do loads nothing can have (below 0). Nothing known: 1 for
 * all, since there is nothing to tell them apart. Shape: `out.length === tokens.length`. O(n), no allocation.
 */
export function scoreTokenLoad(tokens: Float64Array, out: Float64Array, thresholdTokens: number): void {
  let nothingKnown = true;
  for (let i = 0; i < tokens.length; i++) {
    const load = tokens[i]!;
    if (load >= 0) nothingKnown = false;
    out[i] = load >= 0 ? 1 - Math.min(load, thresholdTokens) / thresholdTokens : 0;
  }
  if (nothingKnown) out.fill(1);
}

export const tokenLoadScorer: AnyPluginDefinition = definePlugin<TokenLoadScorerParams>({
  type: "token-load-scorer",
  kind: "scorer",
  stability: "beta",
  summary: "1 = no tokens in flight and none to compute for the request, 0 = as many as the threshold.",
  params: tokenLoadScorerParams,
  consumes: ({ inFlightLoadProducerName }) => ({
    required: [IN_FLIGHT_LOAD.from(inFlightLoadProducerName), UNCACHED_REQUEST_TOKENS.from(inFlightLoadProducerName)],
  }),
  create({ queueThresholdTokens, inFlightLoadProducerName }, host) {
    const loads = host.endpointReader(IN_FLIGHT_LOAD.from(inFlightLoadProducerName));
    const uncached = host.requestReader(UNCACHED_REQUEST_TOKENS.from(inFlightLoadProducerName));
    let tokens = new Float64Array(0);
    return {
      score(request, endpoints, out) {
        if (tokens.length !== endpoints.length) tokens = new Float64Array(endpoints.length);
        const added = uncached.get(request);
        for (let i = 0; i < endpoints.length; i++) {
          const endpoint = endpoints[i]!;
          const inFlight = loads.get(endpoint)?.tokens ?? Number.NaN;
          // Without a table the request adds as little to one endpoint as to another.
          const own = added === undefined ? 0 : (added[endpoint.slot] ?? Number.NaN);
          // Each has to be a count by itself: a sum would hide the one that is none.
          tokens[i] = inFlight >= 0 && own >= 0 ? inFlight + own : Number.NaN;
        }
        scoreTokenLoad(tokens, out, queueThresholdTokens);
      },
    };
  },
});
