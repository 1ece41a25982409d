import {
  type AnyPluginDefinition,
  definePlugin,
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

/** A signal that the engine has never reported; one that cannot be relied on is NaN. */
const neverReported = Number.NEGATIVE_INFINITY;

/** A signal as a number, from what was reported and what of it is fresh. A number below 0 is none. */
function numberOf(reported: number | undefined, fresh: number | undefined): number {
  if (reported === undefined) return neverReported;
  return fresh !== undefined && fresh >= 0 ? fresh : Number.NaN;
}

/**
 * Mean over endpoints of the fuller of both signals, each as a share of its threshold: what was never reported is left
 * out, and an endpoint that says nothing, or nothing that can be relied on, counts as full.
 *
 * `queued[i]` and `used[i]` are {@link neverReported} or NaN where there is no number. O(n), no allocation.
 */
export function poolSaturation(
  queued: Float64Array,
  used: Float64Array,
  { queueDepthThreshold, kvCacheUtilThreshold }: ProbabilisticAdmitterParams,
): number {
  let sum = 0;
  for (let i = 0; i < queued.length; i++) {
    // NaN as soon as one is; infinite when neither was ever reported, or by a number that no engine can have.
    const larger = Math.max(queued[i]! / queueDepthThreshold, used[i]! / kvCacheUtilThreshold);
    sum += Number.isFinite(larger) ? larger : unknownSaturation;
  }
  return sum / queued.length;
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
    let queued = new Float64Array(0);
    let used = new Float64Array(0);
    return {
      admitRequest(request, endpoints) {
        if (request.priority >= 0 || endpoints.length === 0) return undefined;
        if (queued.length !== endpoints.length) {
          queued = new Float64Array(endpoints.length);
          used = new Float64Array(endpoints.length);
        }
        for (let i = 0; i < endpoints.length; i++) {
          const endpoint = endpoints[i]!;
          queued[i] = numberOf(waiting.get(endpoint), waiting.fresh(endpoint, request.nowMs));
          used[i] = numberOf(cacheUsage.get(endpoint), cacheUsage.fresh(endpoint, request.nowMs));
        }
        if (host.random() >= refusalProbability(poolSaturation(queued, used, params), params)) return undefined;
        return new RequestError(
          "ResourceExhausted",
          "request cannot be admitted: system saturated, sheddable request dropped",
          "rejected-saturated",
        );
      },
    };
  },
});
