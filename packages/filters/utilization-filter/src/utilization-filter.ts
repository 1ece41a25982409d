import {
  type AnyPluginDefinition,
  type AttributeKey,
  definePlugin,
  type Endpoint,
  IN_FLIGHT_LOAD,
  KV_CACHE_USAGE,
  type PluginHost,
  RUNNING_REQUESTS_SIZE,
  WAITING_QUEUE_SIZE,
} from "@pointsman/core";
import { type UtilizationFilterParams, type UtilizationMetric, utilizationFilterParams } from "./params.ts";

const reported: { readonly [M in Exclude<UtilizationMetric, "active-requests">]: AttributeKey<number> } = {
  "running-requests": RUNNING_REQUESTS_SIZE,
  "waiting-queue": WAITING_QUEUE_SIZE,
  "kv-cache-utilization": KV_CACHE_USAGE,
};

/** A limit with the way to its figure, which is NaN where it is unknown. */
interface Limit {
  readonly maxValue: number;
  read(endpoint: Endpoint, nowMs: number): number;
}

function consumedKey(metric: UtilizationMetric, producerName: string): AttributeKey<unknown> {
  return metric === "active-requests" ? IN_FLIGHT_LOAD.from(producerName) : reported[metric];
}

function limitsOf({ conditions, inFlightLoadProducerName }: UtilizationFilterParams, host: PluginHost): Limit[] {
  return conditions.map(({ metric, maxValue }): Limit => {
    if (metric === "active-requests") {
      const loads = host.endpointReader(IN_FLIGHT_LOAD.from(inFlightLoadProducerName));
      return { maxValue, read: (endpoint) => figure(loads.get(endpoint)?.requests) };
    }
    const reader = host.endpointReader(reported[metric]);
    return { maxValue, read: (endpoint, nowMs) => figure(reader.fresh(endpoint, nowMs)) };
  });
}

/** What no engine can have (below 0, infinite) is unknown. */
function figure(value: number | undefined): number {
  return value !== undefined && value >= 0 && value < Number.POSITIVE_INFINITY ? value : Number.NaN;
}

export const utilizationFilter: AnyPluginDefinition = definePlugin<UtilizationFilterParams>({
  type: "utilization-filter",
  kind: "filter",
  stability: "alpha",
  summary: "Keeps endpoints whose requests, queue and KV cache use are within limits.",
  params: utilizationFilterParams,
  consumes: ({ conditions, inFlightLoadProducerName }) => ({
    required: conditions.map(({ metric }) => consumedKey(metric, inFlightLoadProducerName)),
  }),
  create(params, host) {
    const limits = limitsOf(params, host);
    /** By limit: its figure is known of some candidate. */
    const known = new Uint8Array(limits.length);

    const noteKnown = (endpoints: readonly Endpoint[], nowMs: number): void => {
      for (let l = 0; l < limits.length; l++) {
        known[l] = 0;
        for (let i = 0; i < endpoints.length && known[l] === 0; i++) {
          if (!Number.isNaN(limits[l]!.read(endpoints[i]!, nowMs))) known[l] = 1;
        }
      }
    };
    const isWithin = (endpoint: Endpoint, nowMs: number): boolean => {
      for (let l = 0; l < limits.length; l++) {
        const { maxValue, read } = limits[l]!;
        // A figure that nobody has says nothing; written so that NaN is beyond the limit.
        if (known[l] === 1 && !(read(endpoint, nowMs) <= maxValue)) return false;
      }
      return true;
    };

    return {
      filter(request, endpoints) {
        noteKnown(endpoints, request.nowMs);
        let kept: Endpoint[] | undefined;
        for (let i = 0; i < endpoints.length; i++) {
          const endpoint = endpoints[i]!;
          if (!isWithin(endpoint, request.nowMs)) kept ??= endpoints.slice(0, i);
          else kept?.push(endpoint);
        }
        return kept === undefined || (params.fallbackOnEmpty && kept.length === 0) ? endpoints : kept;
      },
    };
  },
});
