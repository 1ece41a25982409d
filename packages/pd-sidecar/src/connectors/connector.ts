import type { JsonValue } from "@pointsman/core/json";
import type { ApiKind } from "../body/api-kind.ts";
import type { MemberEdits } from "../body/edit-object.ts";
import type { Exchange } from "../exchange.ts";
import type { Target } from "../upstream/target.ts";

/** A request that goes to a prefill server first, or at the same time. */
export interface PdRequest {
  readonly exchange: Exchange;
  /** The client's body: an object. */
  readonly root: JsonValue;
  readonly api: ApiKind;
  readonly prefill: Target;
  /** Another server that holds more of the prompt's cache. */
  readonly kvSource: Target | undefined;
  /** Edits of the encode stage, for the prefill and the decode request. */
  readonly encoded: MemberEdits;
}

/** How the KV cache gets from a prefill to a decode server: which fields tell them, and in which order they are called. */
export interface KvConnector {
  /** Prefill servers of this connector can fetch cache from another server. */
  readonly pullsFromSources: boolean;
  /** Answers the client. Never rejects but for a bug. */
  serve(request: PdRequest): Promise<void>;
}
