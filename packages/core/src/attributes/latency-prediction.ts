import { type AttributeType, defineAttribute } from "./attribute-key.ts";

/**
 * Predicted latency of one request on each candidate. Every table is indexed by `Endpoint.slot`; NaN, and slots beyond
 * the end, have no prediction.
 */
export interface LatencyPrediction {
  /** Time to first token, milliseconds. */
  readonly ttftMs: Float64Array;
  /** Time per output token, milliseconds. */
  readonly tpotMs: Float64Array;
  /** Objective minus prediction, milliseconds; below 0 the objective is missed. */
  readonly ttftHeadroomMs: Float64Array;
  readonly tpotHeadroomMs: Float64Array;
  /** 1 where the prediction meets the objective. */
  readonly ttftValid: Uint8Array;
  readonly tpotValid: Uint8Array;
  /** Requests this picker sent to the endpoint that have not ended. */
  readonly dispatchedRequests: Int32Array;
}

/** Predicted latency of the request on every candidate. */
export const LATENCY_PREDICTION: AttributeType<LatencyPrediction> = defineAttribute({
  dataType: "LatencyPredictionInfoDataKey",
  scope: "request",
  defaultProducer: "predicted-latency-producer",
  autoCreate: true,
  perEndpoint: ({ ttftMs, tpotMs }, slot) => ({ ttftMs: ttftMs[slot], tpotMs: tpotMs[slot] }),
});
