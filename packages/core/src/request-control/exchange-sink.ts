import type { Endpoint } from "../endpoint.ts";
import type { HeaderMutation } from "../headers.ts";
import type { MetadataObject } from "../request.ts";

/** Where a request goes and what is changed in it. */
export interface RoutedRequest {
  /** Best first; the rest are fallbacks. */
  readonly targets: readonly Endpoint[];
  /** `targets` as `host:port`, joined by commas: the value of the destination header. */
  readonly destination: string;
  readonly headers: HeaderMutation;
  /** The body to send on, in slices; empty when the request has none. */
  readonly body: readonly Uint8Array[];
  readonly bodyBytes: number;
  /** False for a request that ended with its headers: no body follows, not even an empty one. */
  readonly hasBody: boolean;
  /** Scores of the primary profile by `host:port`, when asked for. */
  readonly scores: Readonly<Record<string, number>> | undefined;
  /** The request ended with trailers, which follow the body. */
  readonly trailersFollow: boolean;
  /** Nobody needs the answer: the proxy may stop asking about this request. */
  readonly skipResponse: boolean;
}

/** A reply that the client gets instead of a model server's. */
export interface ImmediateReply {
  readonly status: number;
  readonly body: string;
  readonly headers: readonly (readonly [name: string, value: string])[];
}

/** What an exchange tells the data plane: Envoy through ext_proc, or the built-in proxy. */
export interface ExchangeSink {
  /**
   * True: `responseBody` must be called once for each piece of an answer, before its next piece, with what takes that
   * piece's place. Absent: pieces may be held back until the answer is whole.
   */
  readonly answersEachPiece?: boolean;
  /** Once at most. */
  routed(request: RoutedRequest): void;
  /** Ends the exchange. */
  reply(reply: ImmediateReply): void;
  requestTrailers(): void;
  responseHeaders(headers: HeaderMutation): void;
  /** `metadata` comes with the last piece only. */
  responseBody(bytes: Uint8Array, endOfStream: boolean, metadata: MetadataObject | undefined): void;
  /** `metadata` comes along when no last piece could carry it. */
  responseTrailers(metadata?: MetadataObject): void;
}
