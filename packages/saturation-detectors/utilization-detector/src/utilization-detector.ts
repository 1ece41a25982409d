import {
  type AnyPluginDefinition,
  definePlugin,
  type Endpoint,
  type EndpointReader,
  KV_CACHE_USAGE,
  WAITING_QUEUE_SIZE,
} from "@pointsman/core";
import { utilizationDetectorParams } from "./params.ts";

const staleLogIntervalMs = 30_000;

/** Most that one endpoint adds to the mean, so that no reported number makes it infinite. */
const maxEndpointSaturation = Number.MAX_SAFE_INTEGER;

/** A signal that the engine has never reported; a stale one is NaN. */
export const neverReported: number = Number.NEGATIVE_INFINITY;

/**
 * Fills `out[i]` with how full endpoint i is: the larger of its queue and cache use, each as a share of its threshold.
 *
 * NaN when one of them is stale, or neither was ever reported; one that the engine never reports is left out. Shape:
 * the first `count` places. O(count), no allocation.
 */
export function fillSaturations(
  queueShares: Float64Array,
  cacheShares: Float64Array,
  count: number,
  out: Float64Array,
): void {
  for (let i = 0; i < count; i++) {
    const larger = Math.max(queueShares[i]!, cacheShares[i]!);
    out[i] = larger >= 0 ? Math.min(larger, maxEndpointSaturation) : Number.NaN;
  }
}

/** Fills `out[i]` with a signal of endpoint i as a share of its threshold. Numbers no engine can have count as stale. */
function readShares(
  reader: EndpointReader<number>,
  endpoints: readonly Endpoint[],
  nowMs: number,
  { maxAgeMs, threshold }: { readonly maxAgeMs: number; readonly threshold: number },
  out: Float64Array,
): void {
  for (let i = 0; i < endpoints.length; i++) {
    const endpoint = endpoints[i]!;
    const value = reader.get(endpoint);
    if (value === undefined) out[i] = neverReported;
    else {
      const ageMs = reader.ageMs(endpoint, nowMs) ?? Number.POSITIVE_INFINITY;
      const isUsable = ageMs <= maxAgeMs && value >= 0 && value < Number.POSITIVE_INFINITY;
      out[i] = isUsable ? value / threshold : Number.NaN;
    }
  }
}

export const utilizationDetector: AnyPluginDefinition = definePlugin({
  type: "utilization-detector",
  kind: "saturation-detector",
  stability: "beta",
  summary:
    "Mean over the pool of queue and KV cache use against their thresholds; as a filter keeps endpoints below them.",
  params: utilizationDetectorParams,
  // Where nobody writes them, endpoints count as saturated: the detector is added to every configuration.
  consumes: () => ({ optional: [WAITING_QUEUE_SIZE, KV_CACHE_USAGE] }),
  create(params, host) {
    const { queueDepthThreshold, kvCacheUtilThreshold, metricsStalenessThresholdMs, headroom } = params;
    const waiting = host.endpointReader(WAITING_QUEUE_SIZE);
    const cacheUsage = host.endpointReader(KV_CACHE_USAGE);
    const staleFamily = host.metrics.gauge({
      name: "llm_d_epp_flow_control_stale_endpoints",
      help: "Endpoints without fresh figures in the detector's last evaluation.",
      labelNames: ["detector"],
    });
    const staleGauge = staleFamily.labels(host.name);
    let staleLoggedAtMs = Number.NEGATIVE_INFINITY;
    if (headroom > 1) {
      host.logger.warn({ headroom }, "headroom is a share: above 1 it lets endpoints exceed twice their thresholds");
    }

    const maxAgeMs = metricsStalenessThresholdMs;
    let queueShares = new Float64Array(0);
    let cacheShares = new Float64Array(0);
    let saturations = new Float64Array(0);
    /** Fills `saturations` for these endpoints, against the thresholds times `factor`. */
    const look = (endpoints: readonly Endpoint[], nowMs: number, factor: number): void => {
      const count = endpoints.length;
      if (saturations.length < count) {
        queueShares = new Float64Array(count);
        cacheShares = new Float64Array(count);
        saturations = new Float64Array(count);
      }
      readShares(waiting, endpoints, nowMs, { maxAgeMs, threshold: queueDepthThreshold * factor }, queueShares);
      readShares(cacheUsage, endpoints, nowMs, { maxAgeMs, threshold: kvCacheUtilThreshold * factor }, cacheShares);
      fillSaturations(queueShares, cacheShares, count, saturations);
    };

    const noteStale = (staleEndpoints: number, endpoints: number): void => {
      staleGauge.set(staleEndpoints);
      if (staleEndpoints === 0 || host.clock.now() - staleLoggedAtMs < staleLogIntervalMs) return;
      staleLoggedAtMs = host.clock.now();
      host.logger.warn(
        { staleEndpoints, endpoints, metricsStalenessThresholdMs },
        "endpoints without fresh figures count as saturated",
      );
    };

    return {
      saturation(endpoints, nowMs) {
        let sum = 0;
        let stale = 0;
        look(endpoints, nowMs, 1);
        for (let i = 0; i < endpoints.length; i++) {
          const saturation = saturations[i]!;
          if (Number.isNaN(saturation)) {
            stale++;
            sum += 1;
          } else sum += saturation;
        }
        noteStale(stale, endpoints.length);
        return endpoints.length === 0 ? 1 : sum / endpoints.length;
      },
      filter(request, endpoints) {
        let kept: Endpoint[] | undefined;
        look(endpoints, request.nowMs, 1 + headroom);
        for (let i = 0; i < endpoints.length; i++) {
          // Written so that NaN is not below, either.
          if (!(saturations[i]! < 1)) kept ??= endpoints.slice(0, i);
          else kept?.push(endpoints[i]!);
        }
        return kept === undefined || kept.length === 0 ? endpoints : kept;
      },
      dispose() {
        staleFamily.remove(host.name);
      },
    };
  },
});
