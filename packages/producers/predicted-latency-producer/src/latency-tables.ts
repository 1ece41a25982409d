import { type Endpoint, type LatencyPrediction, slotTableLength } from "@pointsman/core";
import type { Prediction } from "./prediction-client.ts";
import type { RequestSlos } from "./slo-headers.ts";

/** What stands beside a prediction. */
export interface LatencyTableOptions {
  readonly slos: RequestSlos;
  readonly sloBufferFactor: number;
  /** Whether an endpoint's time per output token means something. */
  readonly hasTpot: (endpoint: Endpoint) => boolean;
  /** Tightest objective for time per output token that runs on an endpoint, milliseconds. */
  readonly tightestTpotSloMs: (endpoint: Endpoint) => number | undefined;
  readonly dispatchedRequests: (endpoint: Endpoint) => number;
}

/**
 * The tables of a request's predictions: `predictions[i]` belongs to `predicted[i]`, which are some of `endpoints`.
 *
 * Headroom is objective minus prediction; without an objective it is minus the prediction. The objective for time per
 * output token is never looser than the tightest one that runs on the endpoint. Source: spec scheduling-plugins F11.
 */
export function latencyTables(
  endpoints: readonly Endpoint[],
  predicted: readonly Endpoint[],
  predictions: readonly Prediction[],
  options: LatencyTableOptions,
): LatencyPrediction {
  const length = slotTableLength(endpoints);
  const unknown = (): Float64Array => new Float64Array(length).fill(Number.NaN);
  const tables = {
    ttftMs: unknown(),
    tpotMs: unknown(),
    ttftHeadroomMs: unknown(),
    tpotHeadroomMs: unknown(),
    ttftValid: new Uint8Array(length),
    tpotValid: new Uint8Array(length),
    dispatchedRequests: new Int32Array(length),
  };
  for (const endpoint of endpoints) tables.dispatchedRequests[endpoint.slot] = options.dispatchedRequests(endpoint);
  const { slos, sloBufferFactor } = options;
  predicted.forEach((endpoint, i) => {
    const { ttftMs, tpotMs } = predictions[i]!;
    const { slot } = endpoint;
    const hasTpot = options.hasTpot(endpoint);
    if (Number.isNaN(ttftMs) || (hasTpot && Number.isNaN(tpotMs))) return;
    tables.ttftMs[slot] = ttftMs;
    tables.ttftHeadroomMs[slot] = (slos.ttftMs ?? 0) - ttftMs;
    tables.ttftValid[slot] = ttftMs < (slos.ttftMs ?? 0) ? 1 : 0;
    tables.tpotMs[slot] = tpotMs;
    if (!hasTpot) {
      tables.tpotHeadroomMs[slot] = 0;
      tables.tpotValid[slot] = 1;
      return;
    }
    const own = slos.tpotMs ?? 0;
    const limitMs = Math.min(own, options.tightestTpotSloMs(endpoint) ?? own) * sloBufferFactor;
    tables.tpotHeadroomMs[slot] = limitMs - tpotMs;
    tables.tpotValid[slot] = tpotMs < limitMs ? 1 : 0;
  });
  return tables;
}
