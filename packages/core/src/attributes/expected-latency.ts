import { type AttributeType, defineAttribute } from "./attribute-key.ts";

/**
 * What one request is expected to see and to cause on each candidate. Every table is indexed by `Endpoint.slot` and in
 * milliseconds; NaN, and slots beyond the end, are unknown.
 */
export interface ExpectedLatency {
  /** Time to first token: queue, memory and prefill together. */
  readonly ttftMs: Float64Array;
  /** Part of it: prompts that are computed before this one. */
  readonly queueMs: Float64Array;
  /** Part of it: waiting for room in the KV cache. */
  readonly memoryMs: Float64Array;
  /** Part of it: this request's own prompt, the part that is not cached. */
  readonly prefillMs: Float64Array;
  /** Part of `prefillMs` that is counted for later requests: they find a prefix that is asked for often at one more endpoint. */
  readonly sparedMs: Float64Array;
  /** First token to last. */
  readonly decodeMs: Float64Array;
  /** Delay this request causes to those that are there and to those that come after it, summed over them. */
  readonly harmMs: Float64Array;
  /** Computing that others will have to do again, since this request displaces what they share from the cache. */
  readonly evictMs: Float64Array;
  /** How many times as long as its first token a whole answer usually takes, in this pool. NaN while not known. */
  readonly usualEndToEndRatio: number;
}

/** Expected latency of the request on every candidate. */
export const EXPECTED_LATENCY: AttributeType<ExpectedLatency> = defineAttribute({
  dataType: "ExpectedLatency",
  scope: "request",
  defaultProducer: "expected-latency-producer",
  autoCreate: true,
  perEndpoint: (expected, slot) => ({
    ttftMs: expected.ttftMs[slot],
    queueMs: expected.queueMs[slot],
    memoryMs: expected.memoryMs[slot],
    prefillMs: expected.prefillMs[slot],
    sparedMs: expected.sparedMs[slot],
    decodeMs: expected.decodeMs[slot],
    harmMs: expected.harmMs[slot],
    evictMs: expected.evictMs[slot],
  }),
});
