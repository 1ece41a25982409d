import { type AttributeType, defineAttribute } from "./attribute-key.ts";

/** What this process has sent to one endpoint and not seen the end of. */
export interface InFlightLoad {
  /** Tokens still to be computed, as estimated when the requests were decided. */
  readonly tokens: number;
  readonly requests: number;
}

/**
 * Load in flight on an endpoint. It is the picker's own count, written at each change and when the endpoint appears, so
 * it is exact at any age: read it with `get`, not with `fresh`.
 */
export const IN_FLIGHT_LOAD: AttributeType<InFlightLoad> = defineAttribute({
  dataType: "InFlightLoadDataKey",
  scope: "endpoint",
  defaultProducer: "inflight-load-producer",
  autoCreate: true,
});

/**
 * Prompt tokens of a request that each candidate would have to compute, by `Endpoint.slot`. NaN, and slots beyond the
 * end, are unknown. Absent once the request is decided.
 */
export const UNCACHED_REQUEST_TOKENS: AttributeType<Float64Array> = defineAttribute({
  dataType: "UncachedRequestTokensDataKey",
  scope: "request",
  defaultProducer: "inflight-load-producer",
  autoCreate: true,
});
