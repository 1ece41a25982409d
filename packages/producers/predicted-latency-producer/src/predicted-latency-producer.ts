import {
  type AnyPluginDefinition,
  type AttributeType,
  defineAttribute,
  definePlugin,
  ENCODER_MATCH,
  type Endpoint,
  IN_FLIGHT_LOAD,
  type InferenceRequest,
  KV_CACHE_USAGE,
  LATENCY_PREDICTION,
  PREFIX_MATCH,
  prefillTarget,
  RUNNING_REQUESTS_SIZE,
  TOKENIZED_PROMPT,
  WAITING_QUEUE_SIZE,
} from "@pointsman/core";
import { type FeatureRow, featureRow } from "./feature-row.ts";
import { LatencyMetrics } from "./latency-metrics.ts";
import { latencyTables } from "./latency-tables.ts";
import { type PredictedLatencyParams, predictedLatencyParams } from "./params.ts";
import { Predictor } from "./predictor.ts";
import { predictorSettings } from "./predictor-settings.ts";
import { answerTimes, type RequestLatency } from "./request-latency.ts";
import { RunningRequests } from "./running-requests.ts";
import { sloHeaders } from "./slo-headers.ts";

/** A request's times and features, kept on it to the end of its answer. */
const REQUEST_LATENCY: AttributeType<RequestLatency> = defineAttribute({
  dataType: "RequestLatency",
  scope: "request",
  defaultProducer: "predicted-latency-producer",
});

const maxDumpedEndpoints = 100;
const prefillRole = "prefill";

export const predictedLatencyProducer: AnyPluginDefinition = definePlugin<PredictedLatencyParams>({
  type: "predicted-latency-producer",
  kind: "producer",
  stability: "beta",
  summary: "Produces the latency that a predictor expects of each endpoint, and teaches it what answers took.",
  params: predictedLatencyParams,
  consumes: (params) => ({
    required: [
      TOKENIZED_PROMPT.from(),
      PREFIX_MATCH.from(params.prefixMatchInfoProducerName),
      IN_FLIGHT_LOAD.from(params.inFlightLoadProducerName),
      KV_CACHE_USAGE,
      WAITING_QUEUE_SIZE,
      ...(params.useEncoderCacheFeatures ? [ENCODER_MATCH.from(params.encoderCacheMatchInfoProducerName)] : []),
    ],
    optional: [RUNNING_REQUESTS_SIZE],
  }),
  produces: (_params, name) => [LATENCY_PREDICTION.from(name), REQUEST_LATENCY.from(name)],
  readsBody: ["request", "response"],
  create(params, host) {
    const tokens = host.requestReader(TOKENIZED_PROMPT.from());
    const matches = host.requestReader(PREFIX_MATCH.from(params.prefixMatchInfoProducerName));
    const encoderMatches = params.useEncoderCacheFeatures
      ? host.requestReader(ENCODER_MATCH.from(params.encoderCacheMatchInfoProducerName))
      : undefined;
    const loads = host.endpointReader(IN_FLIGHT_LOAD.from(params.inFlightLoadProducerName));
    const kvCacheUsage = host.endpointReader(KV_CACHE_USAGE);
    const waitingRequests = host.endpointReader(WAITING_QUEUE_SIZE);
    const runningReported = host.endpointReader(RUNNING_REQUESTS_SIZE);
    const writePrediction = host.requestWriter(LATENCY_PREDICTION.from(host.name));
    const readPrediction = host.requestReader(LATENCY_PREDICTION.from(host.name));
    const writeLatency = host.requestWriter(REQUEST_LATENCY.from(host.name));
    const readLatency = host.requestReader(REQUEST_LATENCY.from(host.name));
    const running = new RunningRequests(() => host.endpoints());
    const metrics = new LatencyMetrics(host);
    // The predictor's sidecars are wired through the environment of the process; there is no parameter for them.
    const predictor = new Predictor(predictorSettings(process.env), host);

    const roleOf = ({ metadata }: Endpoint): string | undefined =>
      params.endpointRoleLabel === "" ? undefined : metadata.labels[params.endpointRoleLabel];

    const rowOf = (request: InferenceRequest, endpoint: Endpoint, nowMs: number): FeatureRow | undefined => {
      const match = matches.get(request);
      const encoderMatch = encoderMatches?.get(request);
      const load = loads.get(endpoint);
      return featureRow({
        kvCacheUsage: kvCacheUsage.fresh(endpoint, nowMs),
        waitingRequests: waitingRequests.fresh(endpoint, nowMs),
        runningRequests: load?.requests ?? runningReported.fresh(endpoint, nowMs),
        tokensInFlight: load?.tokens,
        promptTokens: tokens.get(request)?.totalTokens,
        matchedBlocks: match?.matchedBlocks[endpoint.slot] ?? 0,
        totalBlocks: match?.totalBlocks ?? 0,
        encoderInputSize: encoderMatch?.requestSize ?? 0,
        encoderMatchedSize: encoderMatch?.matchedSize[endpoint.slot] ?? 0,
        podType: roleOf(endpoint),
      });
    };

    const hasTpot = (endpoint: Endpoint): boolean => params.streamingMode && roleOf(endpoint) !== prefillRole;

    const predict = async (
      request: InferenceRequest,
      latency: RequestLatency,
      endpoints: readonly Endpoint[],
    ): Promise<void> => {
      const { slos, candidates } = latency;
      const predicted = [...candidates.keys()];
      const predictions = await predictor.predict([...candidates.values()]);
      if (predictions === undefined) return;
      metrics.predicted(request, host.clock.now() - latency.startMs);
      const tables = latencyTables(endpoints, predicted, predictions, {
        slos,
        sloBufferFactor: params.sloBufferFactor,
        hasTpot,
        tightestTpotSloMs: (endpoint) => running.tightestTpotSloMs(endpoint),
        dispatchedRequests: (endpoint) => running.count(endpoint),
      });
      writePrediction.set(request, tables);
    };

    return {
      produce(request, endpoints) {
        const startMs = host.clock.now();
        const slos = sloHeaders(request.headers);
        if (slos.unreadable.length > 0) {
          host.logger.debug(
            { headers: slos.unreadable },
            "an objective is no number of milliseconds and counts as none",
          );
        }
        const candidates = new Map<Endpoint, FeatureRow>();
        for (const endpoint of endpoints) {
          const row = rowOf(request, endpoint, startMs);
          if (row !== undefined) candidates.set(endpoint, row);
        }
        const latency: RequestLatency = { startMs, slos, candidates, decided: undefined };
        writeLatency.set(request, latency);
        if (!params.predictInProduce || candidates.size === 0 || !predictor.available) return undefined;
        return predict(request, latency, endpoints);
      },

      preRequest(request, result) {
        const latency = readLatency.get(request);
        const target = result.profiles.get(result.primaryProfile)?.targets[0];
        if (latency === undefined || target === undefined) return undefined;
        if (latency.decided !== undefined) running.end(latency.decided.running);
        const { candidates } = latency;
        const prefill = prefillTarget(result);
        const prediction = readPrediction.get(request);
        latency.decided = {
          running: running.begin(target, latency.slos.tpotMs),
          row: candidates.get(target),
          firstTokenRow: candidates.get(prefill ?? target),
          predictedTtftMs: knownMs(prediction?.ttftMs[(prefill ?? target).slot]),
          predictedTpotMs: hasTpot(target) ? knownMs(prediction?.tpotMs[target.slot]) : undefined,
          firstChunkMs: undefined,
          chunks: 0,
          failed: false,
        };
        // Of use until the decision only, and an answer may take long.
        latency.candidates = new Map();
        writePrediction.set(request, undefined);
        return undefined;
      },

      responseHeaders(request, _result, { status }) {
        const decided = readLatency.get(request)?.decided;
        if (decided !== undefined && status !== undefined && (status < 200 || status > 299)) decided.failed = true;
      },

      responseBody(request, _result, event) {
        const latency = readLatency.get(request);
        const decided = latency?.decided;
        if (latency === undefined || decided === undefined) return;
        const nowMs = host.clock.now();
        if (event.chunkBytes > 0) {
          decided.chunks++;
          decided.firstChunkMs ??= nowMs;
        }
        if (!event.endOfStream) return;
        writeLatency.set(request, undefined);
        running.end(decided.running);
        if (event.terminationCause !== "natural" || decided.failed) return;
        const { ttftMs, tpotMs } = answerTimes(latency, decided, nowMs, event, params.streamingMode);
        const { slos } = latency;
        const { predictedTtftMs, predictedTpotMs } = decided;
        metrics.ended(request, {
          ...{ ttftMs, tpotMs, predictedTtftMs, predictedTpotMs },
          ...{ ttftSloMs: slos.ttftMs, tpotSloMs: params.streamingMode ? slos.tpotMs : undefined },
        });
        if (decided.firstTokenRow !== undefined && ttftMs > 0) predictor.learn(decided.firstTokenRow, ttftMs, 0);
        if (decided.row !== undefined && tpotMs !== undefined && tpotMs > 0) predictor.learn(decided.row, 0, tpotMs);
      },

      endpointChanged: (event) => running.endpointChanged(event),

      dumpState() {
        const endpoints = Array.from(running.counts(), ([endpoint, requests]) => ({ endpoint, requests }));
        endpoints.sort((a, b) => b.requests - a.requests);
        return {
          endpoints: endpoints.slice(0, maxDumpedEndpoints),
          totalEndpoints: endpoints.length,
          maxEndpoints: maxDumpedEndpoints,
          ...predictor.state,
        };
      },

      dispose: () => predictor.close(),
    };
  },
});

function knownMs(value: number | undefined): number | undefined {
  return value === undefined || Number.isNaN(value) ? undefined : value;
}
