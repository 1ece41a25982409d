import {
  type AnyPluginDefinition,
  definePlugin,
  type Endpoint,
  IN_FLIGHT_LOAD,
  type InFlightLoad,
} from "@pointsman/core";
import { type ConcurrencyDetectorParams, type ConcurrencyMode, concurrencyDetectorParams } from "./params.ts";

/** Most that one endpoint adds to the sum, so that no count makes it infinite. */
const maxAmount = Number.MAX_SAFE_INTEGER;

/** Counts at which an endpoint is full. */
export interface ConcurrencyLimits {
  readonly requests: number;
  readonly tokens: number;
}

/** The amount at which an endpoint is full. */
function capacityOf(mode: ConcurrencyMode, limits: ConcurrencyLimits): number {
  if (mode === "requests") return limits.requests;
  return mode === "tokens" ? limits.tokens : 1;
}

/**
 * What an endpoint holds: requests, tokens, or for `hybrid` the larger of both as shares of their limits. `undefined`
 * where it is unknown or nothing a count can be.
 */
function amountOf(
  load: InFlightLoad | undefined,
  mode: ConcurrencyMode,
  limits: ConcurrencyLimits,
): number | undefined {
  if (load === undefined) return undefined;
  let amount: number;
  if (mode === "requests") amount = load.requests;
  else if (mode === "tokens") amount = load.tokens;
  else amount = Math.max(load.requests / limits.requests, load.tokens / limits.tokens);
  return amount >= 0 && amount < Number.POSITIVE_INFINITY ? Math.min(amount, maxAmount) : undefined;
}

/** Limits of the filter: whole numbers that a count has to stay below. */
export function limitsWithHeadroom(limits: ConcurrencyLimits, headroom: number): ConcurrencyLimits {
  return {
    requests: Math.trunc(limits.requests * (1 + headroom)),
    tokens: Math.trunc(limits.tokens * (1 + headroom)),
  };
}

export const concurrencyDetector: AnyPluginDefinition = definePlugin<ConcurrencyDetectorParams>({
  type: "concurrency-detector",
  kind: "saturation-detector",
  stability: "beta",
  summary: "Requests or tokens in flight against the pool's limits; as a filter keeps endpoints below them.",
  params: concurrencyDetectorParams,
  consumes: ({ inFlightLoadProducerName }) => ({ required: [IN_FLIGHT_LOAD.from(inFlightLoadProducerName)] }),
  create({ concurrencyMode: mode, maxConcurrency, maxTokenConcurrency, headroom, inFlightLoadProducerName }, host) {
    const loads = host.endpointReader(IN_FLIGHT_LOAD.from(inFlightLoadProducerName));
    const limits: ConcurrencyLimits = { requests: maxConcurrency, tokens: maxTokenConcurrency };
    const filterLimits = limitsWithHeadroom(limits, headroom);
    if (headroom > 1) {
      host.logger.warn({ headroom }, "headroom is a share: above 1 it lets endpoints exceed twice their limits");
    }
    const capacity = capacityOf(mode, limits);
    const filterCapacity = capacityOf(mode, filterLimits);
    const nothingKnown = (endpoints: readonly Endpoint[]): boolean => {
      for (let i = 0; i < endpoints.length; i++) {
        if (amountOf(loads.get(endpoints[i]!), mode, limits) !== undefined) return false;
      }
      return true;
    };

    return {
      saturation(endpoints) {
        if (endpoints.length === 0) return 1;
        let sum = 0;
        for (let i = 0; i < endpoints.length; i++) {
          sum += amountOf(loads.get(endpoints[i]!), mode, limits) ?? capacity;
        }
        return sum / (endpoints.length * capacity);
      },

      filter(_request, endpoints) {
        let kept: Endpoint[] | undefined;
        for (let i = 0; i < endpoints.length; i++) {
          const endpoint = endpoints[i]!;
          const amount = amountOf(loads.get(endpoint), mode, filterLimits);
          if (amount === undefined || amount >= filterCapacity) kept ??= endpoints.slice(0, i);
          else kept?.push(endpoint);
        }
        return kept === undefined || (kept.length === 0 && nothingKnown(endpoints)) ? endpoints : kept;
      },
    };
  },
});
