import { RequestAttributes } from "./attributes/attribute-store.ts";
import { TOKENIZED_PROMPT } from "./attributes/tokenized-prompt.ts";
import { fairnessIdOf } from "./fairness-id.ts";
import type { Headers } from "./headers.ts";
import type { ParsedRequest } from "./plugin/parser.ts";

/** JSON-like values in Envoy's dynamic metadata. */
export type MetadataValue = null | boolean | number | string | readonly MetadataValue[] | MetadataObject;
export interface MetadataObject {
  readonly [key: string]: MetadataValue;
}

/** One inference request on its way. Plugins read it; what they add goes into `attributes` and `upstreamHeaders`. */
export class InferenceRequest {
  /** From the client's `x-request-id`, else generated. Not unique when clients repeat it: never a key for state. */
  readonly id: string;
  readonly headers: Headers;
  /** What the parser understood. Once the request is routed, its prompt and bytes are gone; see {@link releaseBody}. */
  body: ParsedRequest;
  /** Size of the body as received. */
  readonly bodyBytes: number;
  /** Monotonic time of the first message, milliseconds. */
  readonly receivedAtMs: number;
  /** Model name in the body; empty when there is none. */
  readonly incomingModel: string;
  /** Model name sent on: the incoming one unless rewritten. */
  targetModel: string;
  /** 0 without an objective. Below 0 means it may be shed first. */
  priority: number;
  /** What the client's header says, else the agent that sends it once that is known, else `default-flow`. */
  fairnessId: string;
  readonly attributes: RequestAttributes;
  /** Headers a plugin adds for the model server or the sidecar in front of it. */
  readonly upstreamHeaders: Map<string, string>;
  /** Metadata that the proxy sent along, by namespace. */
  readonly proxyMetadata: MetadataObject;
  /** Monotonic time of the running scheduling cycle, milliseconds; ages are measured against it. */
  nowMs: number;
  #abort: AbortController | undefined;
  #aborted = false;
  #late: Set<string> | undefined;

  constructor(init: {
    readonly id: string;
    readonly headers: Headers;
    readonly body: ParsedRequest;
    readonly bodyBytes: number;
    readonly receivedAtMs: number;
    readonly proxyMetadata?: MetadataObject;
  }) {
    this.id = init.id;
    this.headers = init.headers;
    this.body = init.body;
    this.bodyBytes = init.bodyBytes;
    this.receivedAtMs = init.receivedAtMs;
    this.nowMs = init.receivedAtMs;
    this.incomingModel = init.body.model ?? "";
    this.targetModel = this.incomingModel;
    this.priority = 0;
    this.fairnessId = fairnessIdOf(init.headers);
    this.attributes = new RequestAttributes();
    this.upstreamHeaders = new Map();
    this.proxyMetadata = init.proxyMetadata ?? {};
  }

  /**
   * Lets go of the prompt, its tokens and the body's bytes, which a streamed answer would keep for minutes. Plugins that
   * need more than the plain fields of `body` later take it in `preRequest`.
   */
  releaseBody(): void {
    const { model, stream, maxOutputTokens, cacheSalt, skipResponse } = this.body;
    this.body = {
      ...{ model, stream, maxOutputTokens, cacheSalt },
      promptSegments: () => [],
      promptTokenIds: () => undefined,
      ...(skipResponse === undefined ? {} : { skipResponse }),
    };
    this.attributes.set(TOKENIZED_PROMPT.from(), undefined);
  }

  /** Aborted when the client or the proxy goes away. Made on first use. */
  get signal(): AbortSignal {
    if (this.#abort === undefined) {
      this.#abort = new AbortController();
      if (this.#aborted) this.#abort.abort();
    }
    return this.#abort.signal;
  }

  get aborted(): boolean {
    return this.#aborted;
  }

  /** Marks the request as gone; the owner of the stream calls it. */
  abort(): void {
    this.#aborted = true;
    this.#abort?.abort();
  }

  /** Notes that a producer exceeded its time: what it writes from here on is dropped. */
  markLate(pluginName: string): void {
    this.#late ??= new Set();
    this.#late.add(pluginName);
  }

  isLate(pluginName: string): boolean {
    return this.#late?.has(pluginName) ?? false;
  }
}
