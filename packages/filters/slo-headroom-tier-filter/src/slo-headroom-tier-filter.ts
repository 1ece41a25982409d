import {
  type AnyPluginDefinition,
  definePlugin,
  type Endpoint,
  LATENCY_PREDICTION,
  type LatencyPrediction,
} from "@pointsman/core";
import { type SloHeadroomTierFilterParams, sloHeadroomTierFilterParams } from "./params.ts";

/** Tells whether an endpoint is predicted to meet both objectives; `undefined` without a prediction. */
export function meetsObjectives(prediction: LatencyPrediction, slot: number): boolean | undefined {
  const ttft = prediction.ttftHeadroomMs[slot] ?? Number.NaN;
  const tpot = prediction.tpotHeadroomMs[slot] ?? Number.NaN;
  return Number.isNaN(ttft) || Number.isNaN(tpot) ? undefined : ttft >= 0 && tpot >= 0;
}

export const sloHeadroomTierFilter: AnyPluginDefinition = definePlugin<SloHeadroomTierFilterParams>({
  type: "slo-headroom-tier-filter",
  kind: "filter",
  stability: "beta",
  summary: "Keeps endpoints predicted to meet the latency objectives, and now and then the others.",
  params: sloHeadroomTierFilterParams,
  consumes: ({ latencyPredictionInfoProducerName }) => ({
    required: [LATENCY_PREDICTION.from(latencyPredictionInfoProducerName)],
  }),
  create({ epsilonExploreNeg, latencyPredictionInfoProducerName }, host) {
    const predictions = host.requestReader(LATENCY_PREDICTION.from(latencyPredictionInfoProducerName));
    return {
      filter(request, endpoints) {
        const prediction = predictions.get(request);
        if (prediction === undefined || endpoints.length <= 1) return endpoints;
        let meeting = 0;
        let predicted = 0;
        for (let i = 0; i < endpoints.length; i++) {
          const meets = meetsObjectives(prediction, endpoints[i]!.slot);
          if (meets !== undefined) predicted++;
          if (meets === true) meeting++;
        }
        if (predicted === 0 || meeting === 0 || meeting === endpoints.length) return endpoints;
        const wanted = host.random() >= epsilonExploreNeg;
        const kept: Endpoint[] = [];
        for (let i = 0; i < endpoints.length; i++) {
          const endpoint = endpoints[i]!;
          if ((meetsObjectives(prediction, endpoint.slot) === true) === wanted) kept.push(endpoint);
        }
        return kept;
      },
    };
  },
});
