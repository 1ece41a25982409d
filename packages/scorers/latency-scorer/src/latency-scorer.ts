import {
  type AnyPluginDefinition,
  definePlugin,
  type Endpoint,
  type InferenceRequest,
  KV_CACHE_USAGE,
  LATENCY_PREDICTION,
  PREFIX_MATCH,
  WAITING_QUEUE_SIZE,
} from "@pointsman/core";
import { type LatencyScorerParams, latencyScorerParams } from "./params.ts";
import { scoreComposite } from "./score-composite.ts";
import { scoreHeadroom } from "./score-headroom.ts";

export const latencyScorer: AnyPluginDefinition = definePlugin<LatencyScorerParams>({
  type: "latency-scorer",
  kind: "scorer",
  stability: "beta",
  summary: "1 = best predicted latency against the objectives among the candidates, 0 = misses more than others do.",
  params: latencyScorerParams,
  consumes: ({ latencyPredictionInfoProducerName, prefixMatchInfoProducerName }) => ({
    required: [
      LATENCY_PREDICTION.from(latencyPredictionInfoProducerName),
      PREFIX_MATCH.from(prefixMatchInfoProducerName),
    ],
    optional: [KV_CACHE_USAGE, WAITING_QUEUE_SIZE],
  }),
  create(params, host) {
    for (const warning of params.warnings) host.logger.warn({}, warning);
    const predictions = host.requestReader(LATENCY_PREDICTION.from(params.latencyPredictionInfoProducerName));
    const matches = host.requestReader(PREFIX_MATCH.from(params.prefixMatchInfoProducerName));
    const cacheUsage = host.endpointReader(KV_CACHE_USAGE);
    const waiting = host.endpointReader(WAITING_QUEUE_SIZE);
    let first = new Float64Array(0);
    let second = new Float64Array(0);
    let third = new Float64Array(0);

    const scorePredicted = (request: InferenceRequest, endpoints: readonly Endpoint[], out: Float64Array): boolean => {
      const prediction = predictions.get(request);
      if (prediction === undefined) return false;
      for (let i = 0; i < endpoints.length; i++) {
        const { slot } = endpoints[i]!;
        first[i] = prediction.ttftHeadroomMs[slot] ?? Number.NaN;
        second[i] = prediction.tpotHeadroomMs[slot] ?? Number.NaN;
        third[i] = prediction.dispatchedRequests[slot] ?? 0;
      }
      const headrooms = { ttftMs: first, tpotMs: second, dispatched: third };
      return scoreHeadroom(headrooms, out, params.weights, params.strategy);
    };

    const scoreReported = (request: InferenceRequest, endpoints: readonly Endpoint[], out: Float64Array): void => {
      const match = matches.get(request);
      for (let i = 0; i < endpoints.length; i++) {
        const endpoint = endpoints[i]!;
        first[i] = cacheUsage.fresh(endpoint, request.nowMs) ?? Number.NaN;
        second[i] = waiting.fresh(endpoint, request.nowMs) ?? Number.NaN;
        const matched = match?.matchedBlocks[endpoint.slot] ?? 0;
        third[i] =
          match === undefined || match.totalBlocks <= 0
            ? 0
            : Math.max(0, Math.min(matched, match.totalBlocks)) / match.totalBlocks;
      }
      scoreComposite({ usedCache: first, queued: second, cachedPrompt: third }, out, params.composite);
    };

    return {
      score(request, endpoints, out) {
        if (first.length !== endpoints.length) {
          first = new Float64Array(endpoints.length);
          second = new Float64Array(endpoints.length);
          third = new Float64Array(endpoints.length);
        }
        if (!scorePredicted(request, endpoints, out)) scoreReported(request, endpoints, out);
        // The best of a group gets one hundredth more than 1.
        for (let i = 0; i < out.length; i++) out[i] = Math.min(1, out[i]!);
      },
    };
  },
});
