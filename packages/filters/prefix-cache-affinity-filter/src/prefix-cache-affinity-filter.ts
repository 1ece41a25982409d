import {
  type AnyPluginDefinition,
  type AttributeKey,
  definePlugin,
  type Endpoint,
  IN_FLIGHT_LOAD,
  type InferenceRequest,
  LATENCY_PREDICTION,
  type PluginHost,
  PREFIX_MATCH,
  type PrefixMatch,
} from "@pointsman/core";
import { type PrefixCacheAffinityFilterParams, prefixCacheAffinityFilterParams } from "./params.ts";

/** Estimates an endpoint's time to the first token for a request, milliseconds; infinite where nothing is known. */
type TtftEstimate = (request: InferenceRequest, endpoint: Endpoint) => number;

/** Share of the prompt that an endpoint holds, 0 where nothing is known. */
export function heldShare(match: PrefixMatch, slot: number): number {
  return match.totalBlocks > 0 ? (match.matchedBlocks[slot] ?? 0) / match.totalBlocks : 0;
}

function estimateKey(params: PrefixCacheAffinityFilterParams): AttributeKey<unknown> | undefined {
  if (params.maxTTFTPenaltyMs === 0) return undefined;
  return params.ttftSource === "latencyPredictor"
    ? LATENCY_PREDICTION.from(params.latencyPredictionInfoProducerName)
    : IN_FLIGHT_LOAD.from(params.inFlightLoadProducerName);
}

function ttftEstimate(params: PrefixCacheAffinityFilterParams, host: PluginHost): TtftEstimate {
  if (params.ttftSource === "latencyPredictor") {
    const predictions = host.requestReader(LATENCY_PREDICTION.from(params.latencyPredictionInfoProducerName));
    return (request, { slot }) => known(predictions.get(request)?.ttftMs[slot]);
  }
  const loads = host.endpointReader(IN_FLIGHT_LOAD.from(params.inFlightLoadProducerName));
  return (_request, endpoint) => (known(loads.get(endpoint)?.tokens) / params.peakPrefillThroughput) * 1000;
}

function known(value: number | undefined): number {
  return value === undefined || Number.isNaN(value) ? Number.POSITIVE_INFINITY : value;
}

export const prefixCacheAffinityFilter: AnyPluginDefinition = definePlugin<PrefixCacheAffinityFilterParams>({
  type: "prefix-cache-affinity-filter",
  kind: "filter",
  stability: "beta",
  summary: "Keeps endpoints that hold most of the prompt, unless the others answer much sooner.",
  params: prefixCacheAffinityFilterParams,
  consumes: (params) => {
    const match = PREFIX_MATCH.from(params.prefixMatchInfoProducerName);
    const estimate = estimateKey(params);
    return { required: estimate === undefined ? [match] : [match, estimate] };
  },
  create(params, host) {
    const { affinityThreshold, explorationProbability, maxTTFTPenaltyMs } = params;
    const matches = host.requestReader(PREFIX_MATCH.from(params.prefixMatchInfoProducerName));
    const estimate = maxTTFTPenaltyMs > 0 ? ttftEstimate(params, host) : undefined;

    return {
      filter(request, endpoints) {
        if (endpoints.length <= 1 || affinityThreshold <= 0) return endpoints;
        if (explorationProbability > 0 && host.random() < explorationProbability) return endpoints;
        const match = matches.get(request);
        if (match === undefined) return endpoints;
        let holding = 0;
        let bestHolding = Number.POSITIVE_INFINITY;
        let bestOther = Number.POSITIVE_INFINITY;
        for (let i = 0; i < endpoints.length; i++) {
          const endpoint = endpoints[i]!;
          const ttftMs = estimate === undefined ? 0 : estimate(request, endpoint);
          if (heldShare(match, endpoint.slot) >= affinityThreshold) {
            holding++;
            if (ttftMs < bestHolding) bestHolding = ttftMs;
          } else if (ttftMs < bestOther) bestOther = ttftMs;
        }
        if (holding === 0 || holding === endpoints.length) return endpoints;
        // Infinite minus infinite is NaN: where nothing is known of either side, the prompt decides.
        if (estimate !== undefined && bestHolding - bestOther > maxTTFTPenaltyMs) return endpoints;
        const kept: Endpoint[] = [];
        for (let i = 0; i < endpoints.length; i++) {
          const endpoint = endpoints[i]!;
          if (heldShare(match, endpoint.slot) >= affinityThreshold) kept.push(endpoint);
        }
        return kept;
      },
    };
  },
});
