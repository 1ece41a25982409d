import {
  Exchange,
  type ExchangeSink,
  type HeaderMutation,
  Headers,
  type ImmediateReply,
  type MetadataObject,
  RequestError,
  type RoutedRequest,
  type Router,
  wireNames,
} from "@pointsman/core";
import { type RpcHandler, type RpcMethod, type RpcStream, rpcStatus } from "@pointsman/grpc-transport";
import {
  type BodyModes,
  bodySendModes,
  decodeProcessingRequest,
  type ExtProcMessage,
  encodeBodyResponsePrefix,
  encodeHeadersResponse,
  encodeImmediateResponse,
  encodeKeptBodyResponse,
  encodeReplacedBodyResponsePrefix,
  encodeStruct,
  encodeTrailersResponse,
  KnownMetadata,
} from "@pointsman/proto";

/** Full name of the RPC. */
export const processMethod = "/envoy.service.ext_proc.v3.ExternalProcessor/Process";

/** Largest body in one reply. Source: spec ext-proc section 1.2. */
export const maxReplyBodyBytes: number = 62_000;

const noBytes = new Uint8Array(0);

/** Encoded metadata of routed requests by destination: destinations are few, requests are many. */
const metadataOf = new Map<string, Uint8Array>();
const maxDestinations = 4096;

function routedMetadata({ destination, scores }: RoutedRequest): Uint8Array {
  if (scores !== undefined) {
    const lb = { [wireNames.destination]: destination, [wireNames.destinationScores]: scores };
    return encodeStruct({ [wireNames.lbNamespace]: lb });
  }
  let metadata = metadataOf.get(destination);
  if (metadata === undefined) {
    metadata = encodeStruct({ [wireNames.lbNamespace]: { [wireNames.destination]: destination } });
    if (metadataOf.size >= maxDestinations) metadataOf.clear();
    metadataOf.set(destination, metadata);
  }
  return metadata;
}

const mark = [wireNames.wentIntoResponseHeaders, "true"] as const;
/** The reply to most response headers, which no plugin changes. */
const markedHeaders = encodeHeadersResponse("response", [mark], []);

function encodeResponseHeaders({ set, remove }: HeaderMutation): Uint8Array {
  const isPlain = set.length === 1 && remove.length === 0 && set[0]![0] === mark[0] && set[0]![1] === mark[1];
  return isPlain ? markedHeaders : encodeHeadersResponse("response", set, remove);
}

/** The reply to most pieces of an answer, where each has one. */
const keptBody = encodeKeptBodyResponse();

/** The proxy has each piece of a body, or all of it, until it has the one reply to it. */
function keepsPieces(mode: number): boolean {
  const name = bodySendModes[mode];
  return name === "STREAMED" || name === "BUFFERED" || name === "BUFFERED_PARTIAL";
}

/**
 * Says why a request with a body cannot be routed: in most modes the proxy sends it, if at all, once it has the reply to
 * the headers, and that reply needs the body.
 */
function requestModeProblem({ request }: BodyModes): string | undefined {
  const name = bodySendModes[request];
  if (name !== "NONE" && !keepsPieces(request)) return undefined;
  return `ext_proc runs with request_body_mode ${name}, which sends no body before the headers are answered; set it to FULL_DUPLEX_STREAMED`;
}

const newHeaders = (): Headers => new Headers();

/** Serves ext_proc streams: one exchange each, on the router that is current when the stream opens. */
export function extProcMethod(router: () => Router): RpcMethod {
  return (stream) => new ExtProcSession(router(), stream);
}

/**
 * One ext_proc stream. Translates messages to calls of an exchange and back, and keeps replies in the order that Envoy
 * demands: request headers, request body, then the response's.
 */
class ExtProcSession implements RpcHandler, ExchangeSink {
  readonly #stream: RpcStream;
  readonly #exchange: Exchange;
  readonly #metadata = new KnownMetadata();
  #receivedBody = false;
  /** The piece of an answer that is to be answered, where each has a reply of its own. */
  #piece: Uint8Array | undefined;
  #answerIsBuffered = false;
  #over = false;
  answersEachPiece = false;

  constructor(router: Router, stream: RpcStream) {
    this.#stream = stream;
    this.#exchange = new Exchange(router, this);
  }

  message(bytes: Uint8Array): void {
    if (this.#over) return;
    const message = decodeProcessingRequest(bytes, newHeaders, this.#metadata);
    if (typeof message === "string") {
      this.#fail(`malformed ProcessingRequest: ${message}`);
      return;
    }
    const { metadata, bodyModes } = message;
    if (bodyModes !== undefined) {
      this.answersEachPiece = keepsPieces(bodyModes.response);
      this.#answerIsBuffered = bodySendModes[bodyModes.response] === "BUFFERED";
    }
    switch (message.kind) {
      case "requestHeaders":
        this.#requestHeaders(message);
        return;
      case "requestBody":
        this.#receivedBody = true;
        this.#exchange.requestBody(message.body, message.endOfStream, metadata);
        return;
      case "requestTrailers":
        this.#exchange.requestTrailers();
        return;
      case "responseHeaders":
        if (message.headers === undefined) this.#fail("response_headers without headers");
        else this.#exchange.responseHeaders(message.headers, message.endOfStream, metadata);
        return;
      case "responseBody":
        if (this.answersEachPiece) this.#piece = message.body;
        this.#exchange.responseBody(message.body, message.endOfStream);
        return;
      case "responseTrailers":
        this.#exchange.responseTrailers();
        return;
      case undefined:
        this.#fail("ProcessingRequest without a known request");
    }
  }

  #requestHeaders({ headers, endOfStream, metadata, bodyModes }: ExtProcMessage<Headers>): void {
    if (headers === undefined) {
      this.#fail("request_headers without headers");
      return;
    }
    this.#exchange.requestHeaders(headers, endOfStream, metadata);
    const problem = bodyModes === undefined || endOfStream ? undefined : requestModeProblem(bodyModes);
    if (problem !== undefined) this.#exchange.refuse(new RequestError("Internal", problem));
  }

  /** What Envoy sends when its client leaves, ahead of a reset: an answer that is not complete has nobody to go to. */
  halfClose(): void {
    this.#end("client-disconnect");
  }

  cancelled(): void {
    if (this.#over) return;
    this.#over = true;
    this.#exchange.close("client-disconnect");
  }

  routed(request: RoutedRequest): void {
    this.#stream.send([
      encodeHeadersResponse("request", request.headers.set, request.headers.remove, {
        clearRouteCache: true,
        metadata: routedMetadata(request),
      }),
    ]);
    // Envoy ends a stream that answers a body of which it has sent nothing: one that trailers end at once.
    if (request.hasBody && this.#receivedBody) {
      this.#sendBody("request", request.body, !request.trailersFollow, undefined);
    }
    if (request.trailersFollow) this.requestTrailers();
    if (request.skipResponse) this.#end();
  }

  reply(reply: ImmediateReply): void {
    this.#stream.send([encodeImmediateResponse(reply.status, reply.body, reply.headers)]);
    this.#end();
  }

  requestTrailers(): void {
    this.#stream.send([encodeTrailersResponse("request")]);
  }

  responseHeaders(headers: HeaderMutation): void {
    this.#stream.send([encodeResponseHeaders(headers)]);
  }

  responseBody(bytes: Uint8Array, endOfStream: boolean, metadata: MetadataObject | undefined): void {
    if (this.answersEachPiece) this.#answerPiece(bytes, metadata);
    else this.#sendBody("response", [bytes], endOfStream, metadata);
  }

  responseTrailers(metadata?: MetadataObject): void {
    this.#stream.send([encodeTrailersResponse("response", metadata)]);
  }

  #answerPiece(bytes: Uint8Array, metadata: MetadataObject | undefined): void {
    const piece = this.#piece;
    this.#piece = undefined;
    if (piece === undefined) {
      // The start of a model's name that never ended: trailers cut the answer, and no piece is left to carry it.
      this.#fail("response_trailers cut an answer within the model's name");
    } else if (bytes === piece) {
      this.#stream.send([metadata === undefined ? keptBody : encodeKeptBodyResponse(metadata)]);
    } else {
      const options = { metadata, contentLength: this.#answerIsBuffered };
      this.#stream.send([encodeReplacedBodyResponsePrefix(bytes.length, options), bytes]);
    }
  }

  /** Sends a body in pieces of at most {@link maxReplyBodyBytes}; the last piece alone carries the end and the metadata. */
  #sendBody(
    phase: "request" | "response",
    slices: readonly Uint8Array[],
    endOfStream: boolean,
    metadata: MetadataObject | undefined,
  ): void {
    let left = 0;
    for (const slice of slices) left += slice.length;
    if (left === 0) {
      this.#stream.send([encodeBodyResponsePrefix(phase, 0, endOfStream, metadata), noBytes]);
      return;
    }
    let index = 0;
    let offset = 0;
    while (left > 0) {
      const pieceBytes = Math.min(left, maxReplyBodyBytes);
      left -= pieceBytes;
      const message: Uint8Array[] = [
        encodeBodyResponsePrefix(phase, pieceBytes, endOfStream && left === 0, left === 0 ? metadata : undefined),
      ];
      let wanted = pieceBytes;
      while (wanted > 0) {
        const slice = slices[index]!;
        const taken = Math.min(wanted, slice.length - offset);
        if (taken > 0) message.push(slice.subarray(offset, offset + taken));
        wanted -= taken;
        offset += taken;
        if (offset === slice.length) {
          index++;
          offset = 0;
        }
      }
      this.#stream.send(message);
    }
  }

  #fail(problem: string): void {
    if (this.#over) return;
    this.#over = true;
    this.#stream.end({ code: rpcStatus.invalidArgument, message: problem });
    this.#exchange.close("error");
  }

  /** Ends the stream. `cause` is that of an answer that is not complete. */
  #end(cause: "client-disconnect" | "error" = "error"): void {
    if (this.#over) return;
    this.#over = true;
    this.#stream.end();
    this.#exchange.close(cause);
  }
}
