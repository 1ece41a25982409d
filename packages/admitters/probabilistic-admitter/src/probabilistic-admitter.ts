import {
  type AnyPluginDefinition,
  definePlugin,
  type Endpoint,
  type EndpointReader,
  KV_CACHE_USAGE,
  RequestError,
  WAITING_QUEUE_SIZE,
} from "@pointsman/core";
import { type ProbabilisticAdmitterParams, probabilisticAdmitterParams } from "./params.ts";

/** Saturation of an endpoint of which nothing is known. */
const unknownSaturation = 1;

/** Probability that a sheddable request is refused: `saturation^power · k`, 1 at most. */
export function refusalProbability(saturation: number, { power, k }: ProbabilisticAdmitterParams): number {
  return Math.min(saturation ** power * k, 1);
}

/** A signal of an endpoint: a number, `stale` when there is none to rely on, `undefined` when never reported. */
function readSignal(reader: EndpointReader<number>, endpoint: Endpoint, nowMs: number): number | "stale" | undefined {
  if (reader.get(endpoint) === undefined) return undefined;
  const value = reader.fresh(endpoint, nowMs);
  return value !== undefined && value >= 0 && value < Number.POSITIVE_INFINITY ? value : "stale";
}

export const probabilisticAdmitter: AnyPluginDefinition = definePlugin<ProbabilisticAdmitterParams>({
  type: "probabilistic-admitter",
  kind: "admitter",
  stability: "beta",
  summary: "Refuses sheddable requests with a probability that grows with the load of the pool.",
  params: probabilisticAdmitterParams,
  consumes: () => ({ required: [WAITING_QUEUE_SIZE, KV_CACHE_USAGE] }),
  create(params, host) {
    const waiting = host.endpointReader(WAITING_QUEUE_SIZE);
    const cacheUsage = host.endpointReader(KV_CACHE_USAGE);
    const saturationOf = (endpoint: Endpoint, nowMs: number): number => {
      const queued = readSignal(waiting, endpoint, nowMs);
      const used = readSignal(cacheUsage, endpoint, nowMs);
      if (queued === "stale" || used === "stale") return unknownSaturation;
      if (queued === undefined && used === undefined) return unknownSaturation;
      return Math.max((queued ?? 0) / params.queueDepthThreshold, (used ?? 0) / params.kvCacheUtilThreshold);
    };
    return {
      admitRequest(request, endpoints) {
        if (request.priority >= 0 || endpoints.length === 0) return undefined;
        let sum = 0;
        for (let i = 0; i < endpoints.length; i++) sum += saturationOf(endpoints[i]!, request.nowMs);
        if (host.random() >= refusalProbability(sum / endpoints.length, params)) return undefined;
        return new RequestError(
          "ResourceExhausted",
          "request cannot be admitted: system saturated, sheddable request dropped",
          "rejected-saturated",
        );
      },
    };
  },
});
