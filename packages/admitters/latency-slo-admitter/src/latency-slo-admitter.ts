import {
  type AnyPluginDefinition,
  aliasedHeaders,
  definePlugin,
  type Headers,
  KV_CACHE_USAGE,
  LATENCY_PREDICTION,
  type LatencyPrediction,
  RequestError,
  RUNNING_REQUESTS_SIZE,
} from "@pointsman/core";
import { type LatencySloAdmitterParams, latencySloAdmitterParams } from "./params.ts";

/** Below this share of its KV cache an endpoint has just started, and predictions for it say little. */
const coldCacheShare = 0.02;

/** Tells whether the request states a latency objective above 0. What is no number counts as none. */
export function statesObjective(headers: Headers): boolean {
  return (
    isPositive(headers.getAliased(aliasedHeaders.sloTtftMs)) || isPositive(headers.getAliased(aliasedHeaders.sloTpotMs))
  );
}

function isPositive(text: string | undefined): boolean {
  const value = text === undefined ? Number.NaN : Number(text);
  return value > 0 && value < Number.POSITIVE_INFINITY;
}

/** What is predicted for the endpoint with this slot: `undefined` when nothing is. */
export function meetsObjectives(prediction: LatencyPrediction, slot: number): boolean | undefined {
  // A slot beyond the table reads as undefined, which is no prediction either.
  const ttftMs = prediction.ttftMs[slot] ?? Number.NaN;
  if (Number.isNaN(ttftMs)) return undefined;
  return prediction.ttftValid[slot] === 1 && prediction.tpotValid[slot] === 1;
}

export const latencySloAdmitter: AnyPluginDefinition = definePlugin<LatencySloAdmitterParams>({
  type: "latency-slo-admitter",
  kind: "admitter",
  stability: "beta",
  summary: "Refuses sheddable requests whose latency objectives no endpoint is predicted to meet.",
  params: latencySloAdmitterParams,
  consumes: ({ latencyPredictionInfoProducerName }) => ({
    required: [LATENCY_PREDICTION.from(latencyPredictionInfoProducerName)],
    optional: [RUNNING_REQUESTS_SIZE, KV_CACHE_USAGE],
  }),
  create({ latencyPredictionInfoProducerName }, host) {
    const predictions = host.requestReader(LATENCY_PREDICTION.from(latencyPredictionInfoProducerName));
    const running = host.endpointReader(RUNNING_REQUESTS_SIZE);
    const cacheUsage = host.endpointReader(KV_CACHE_USAGE);
    return {
      admitRequest(request, endpoints) {
        if (request.priority >= 0 || !statesObjective(request.headers)) return undefined;
        const prediction = predictions.get(request);
        if (prediction === undefined) return undefined;
        const { nowMs } = request;
        let predicted = false;
        for (let i = 0; i < endpoints.length; i++) {
          const endpoint = endpoints[i]!;
          const meets = meetsObjectives(prediction, endpoint.slot);
          // Unknown or stale figures show neither an idle nor a cold endpoint.
          const idle = running.fresh(endpoint, nowMs) === 0;
          const cold = (cacheUsage.fresh(endpoint, nowMs) ?? 1) < coldCacheShare;
          if (meets === true || idle || cold) return undefined;
          predicted ||= meets !== undefined;
        }
        if (!predicted) return undefined;
        return new RequestError(
          "ResourceExhausted",
          "request cannot be admitted: no endpoint is predicted to meet its latency objectives",
          "rejected-saturated",
        );
      },
    };
  },
});
