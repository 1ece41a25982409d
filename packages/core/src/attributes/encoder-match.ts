import { type AttributeType, defineAttribute } from "./attribute-key.ts";

/** How much of a request's multimodal input each candidate is believed to hold as encoder output. */
export interface EncoderMatch {
  /** Size of all distinct items of the request; at least 1. */
  readonly requestSize: number;
  /** Size of the items found, by `Endpoint.slot`. Slots beyond the end are unknown. */
  readonly matchedSize: Float64Array;
}

/** Match of the request's multimodal items with every candidate's encoder cache; absent without such items. */
export const ENCODER_MATCH: AttributeType<EncoderMatch> = defineAttribute({
  dataType: "MultiModalEncoderCacheMatchInfoKey",
  scope: "request",
  defaultProducer: "mm-embeddings-cache-producer",
  autoCreate: true,
});
