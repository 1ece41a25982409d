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

/** What one signal of an endpoint says: a number, `stale` when there is none to rely on, `undefined` when never reported. */
export type SignalReading = number | "stale" | undefined;

/** An endpoint is full when one of its signals reaches its threshold. */
export interface FullThresholds {
  readonly queuedRequests: number;
  readonly usedCacheShare: number;
}

/**
 * How full one endpoint is: the larger of queue and cache use, each divided by its threshold. `undefined` when a signal
 * is stale or none was ever reported. A signal the engine never reports is left out.
 */
export function endpointSaturation(
  queued: SignalReading,
  usedShare: SignalReading,
  full: FullThresholds,
): number | undefined {
  if (queued === "stale" || usedShare === "stale") return undefined;
  if (queued === undefined && usedShare === undefined) return undefined;
  const byQueue = (queued ?? 0) / full.queuedRequests;
  const byCache = (usedShare ?? 0) / full.usedCacheShare;
  return Math.min(Math.max(byQueue, byCache), maxEndpointSaturation);
}

/** Reads a signal. Numbers no engine can have (below 0, infinite, NaN) count as stale. */
function readSignal(
  reader: EndpointReader<number>,
  endpoint: Endpoint,
  nowMs: number,
  maxAgeMs: number,
): SignalReading {
  const value = reader.get(endpoint);
  if (value === undefined) return undefined;
  const ageMs = reader.ageMs(endpoint, nowMs) ?? Number.POSITIVE_INFINITY;
  return ageMs <= maxAgeMs && value >= 0 && value < Number.POSITIVE_INFINITY ? value : "stale";
}

export const utilizationDetector: AnyPluginDefinition = definePlugin({
  type: "utilization-detector",
  kind: "saturation-detector",
  stability: "beta",
  summary:
    "Mean over the pool of queue and KV cache use against their thresholds; as a filter keeps endpoints below them.",
  params: utilizationDetectorParams,
  consumes: () => ({ required: [WAITING_QUEUE_SIZE, KV_CACHE_USAGE] }),
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

    const saturationOf = (endpoint: Endpoint, nowMs: number, full: FullThresholds): number | undefined =>
      endpointSaturation(
        readSignal(waiting, endpoint, nowMs, metricsStalenessThresholdMs),
        readSignal(cacheUsage, endpoint, nowMs, metricsStalenessThresholdMs),
        full,
      );
    const full: FullThresholds = { queuedRequests: queueDepthThreshold, usedCacheShare: kvCacheUtilThreshold };
    const fullWithHeadroom: FullThresholds = {
      queuedRequests: queueDepthThreshold * (1 + headroom),
      usedCacheShare: kvCacheUtilThreshold * (1 + headroom),
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
        for (let i = 0; i < endpoints.length; i++) {
          const saturation = saturationOf(endpoints[i]!, nowMs, full);
          if (saturation === undefined) stale++;
          sum += saturation ?? 1;
        }
        noteStale(stale, endpoints.length);
        return endpoints.length === 0 ? 1 : sum / endpoints.length;
      },
      filter(request, endpoints) {
        let kept: Endpoint[] | undefined;
        for (let i = 0; i < endpoints.length; i++) {
          const endpoint = endpoints[i]!;
          const saturation = saturationOf(endpoint, request.nowMs, fullWithHeadroom);
          if (saturation === undefined || saturation >= 1) kept ??= endpoints.slice(0, i);
          else kept?.push(endpoint);
        }
        return kept === undefined || kept.length === 0 ? endpoints : kept;
      },
      dispose() {
        staleFamily.remove(host.name);
      },
    };
  },
});
