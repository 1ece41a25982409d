import type { IncomingMessage } from "node:http";
import {
  controlHeaders,
  Exchange,
  type ExchangeSink,
  errorText,
  type HeaderMutation,
  type ImmediateReply,
  type Logger,
  type MetadataObject,
  type RoutedRequest,
  type Router,
  wireNames,
} from "@pointsman/core";
import { refusalReply } from "./client-error.ts";
import type { ClientListener, ClientResponse, ClientResponseContext } from "./client-response.ts";
import { isFieldValue, isToken, mutatedFields, trailerLines } from "./header-fields.ts";
import type { Refusal, RequestHead } from "./request-head.ts";
import type { ResponseHead } from "./response-decoder.ts";
import type { UpstreamConnection, UpstreamListener } from "./upstream-connection.ts";
import { afterFailure, failureReply, type UpstreamFailure } from "./upstream-failure.ts";
import { chunkedBody, upstreamHead } from "./upstream-head.ts";
import type { UpstreamPool } from "./upstream-pool.ts";

/** What all requests of a proxy share. */
export interface ProxyContext extends ClientResponseContext {
  readonly pool: UpstreamPool;
  readonly logger: Logger;
  /** The proxy is being stopped: what ends now, ends by our doing. */
  stopping(): boolean;
  /** A header of a plugin is not valid HTTP and was left out. */
  headerRefused(name: string): void;
}

const noMetadata: MetadataObject = {};
const noBytes = new Uint8Array(0);

/** One request on its way through: client, exchange and model server, and what each has to tell the others. */
export class ProxiedRequest implements ExchangeSink, UpstreamListener, ClientListener {
  readonly #context: ProxyContext;
  readonly #router: Router;
  readonly #req: IncomingMessage;
  readonly #head: RequestHead;
  readonly #client: ClientResponse;
  readonly #exchange: Exchange;
  #closed = false;
  /** Kept until an answer has begun: it may have to be sent again. */
  #routed: RoutedRequest | undefined;
  #target = 0;
  #attempts = 0;
  #servedBy = "";
  #upstream: UpstreamConnection | undefined;
  /** The exchange does not want to see the answer. */
  #bypass = false;
  #answer: ResponseHead | undefined;
  #mutation: HeaderMutation | undefined;
  #trailers = "";
  /** The piece of the answer that the exchange is looking at, and where it lies. */
  #piece: Uint8Array | undefined;
  #block: Buffer | undefined;
  #blockStart = 0;
  #blockEnd = 0;

  constructor(req: IncomingMessage, client: ClientResponse, head: RequestHead, router: Router, context: ProxyContext) {
    this.#context = context;
    this.#router = router;
    this.#req = req;
    this.#head = head;
    this.#client = client;
    client.listener = this;
    this.#exchange = new Exchange(router, this);
  }

  /** Begins. `askForBody` tells a client that waits for it to send the body. */
  start(askForBody: (() => void) | undefined): void {
    const req = this.#req;
    const exchange = this.#exchange;
    const { bodyless, headers } = this.#head;
    try {
      exchange.requestHeaders(headers, bodyless, noMetadata);
    } catch (thrown: unknown) {
      this.fail(thrown);
    }
    if (bodyless) {
      req.resume();
      return;
    }
    askForBody?.();
    req.on("data", (bytes: Buffer) => {
      if (this.#closed) return;
      try {
        exchange.requestBody(bytes, false, noMetadata);
      } catch (thrown: unknown) {
        this.fail(thrown);
      }
    });
    req.on("end", () => {
      if (this.#closed) return;
      try {
        if (req.rawTrailers.length > 0) exchange.requestTrailers();
        else exchange.requestBody(noBytes, true, noMetadata);
      } catch (thrown: unknown) {
        this.fail(thrown);
      }
    });
  }

  clientDrained(): void {
    this.#upstream?.resume();
  }

  /** The client's connection is closed, or the answer is out. */
  clientClosed(): void {
    if (this.#closed) return;
    if (this.#context.stopping()) this.#close("error");
    else {
      this.#context.metrics.clientDisconnects.inc();
      this.#close("client-disconnect");
    }
  }

  /** Ends the request because code of ours failed. */
  fail(thrown: unknown): void {
    this.#context.logger.error(
      {
        requestId: this.#exchange.requestId,
        cause: errorText(thrown),
        stack: thrown instanceof Error ? thrown.stack : undefined,
      },
      "request failed in the proxy",
    );
    this.#refuse({ status: 500, code: "Internal", message: "the proxy failed on this request" });
  }

  // What the exchange says.

  routed(request: RoutedRequest): void {
    if (this.#closed) return;
    this.#routed = request;
    this.#bypass = request.skipResponse;
    // May be called from a promise, where nobody would catch.
    try {
      this.#send(request, false);
    } catch (thrown: unknown) {
      this.fail(thrown);
    }
  }

  reply(reply: ImmediateReply): void {
    this.#answerItself(reply.status, reply.body, reply.headers);
  }

  requestTrailers(): void {
    // The body is whole before it is routed, so its trailers are known by then and went along with it.
  }

  responseHeaders(headers: HeaderMutation): void {
    this.#mutation = headers;
  }

  responseBody(bytes: Uint8Array, endOfStream: boolean): void {
    if (this.#closed) return;
    const client = this.#client;
    if (!client.headSent) this.#sendHead(endOfStream ? bytes.length : undefined);
    if (bytes === this.#piece) client.sendBlock(this.#block!, this.#blockStart, this.#blockEnd, endOfStream);
    else client.sendBytes(bytes, endOfStream);
  }

  responseTrailers(): void {
    if (this.#closed) return;
    if (!this.#client.headSent) this.#sendHead(undefined);
    this.#client.endWithTrailers(this.#trailers);
  }

  // What the model server says.

  answerHead(head: ResponseHead, complete: boolean): void {
    if (this.#closed) return;
    this.#answer = head;
    this.#routed = undefined;
    if (!this.#bypass) {
      this.#exchange.responseHeaders(head.headers, complete, this.#servedMetadata());
      if (this.#closed) return;
    }
    if (!complete) return;
    this.#sendHead(announcedBytes(head));
    this.#client.sendBytes(noBytes, true);
    this.#complete();
  }

  answerBody(block: Buffer, start: number, end: number, complete: boolean): void {
    if (this.#closed) return;
    if (this.#bypass) {
      if (!this.#client.headSent) this.#sendHead(announcedBytes(this.#answer!));
      this.#client.sendBlock(block, start, end, complete);
    } else {
      const piece = block.subarray(start, end);
      this.#piece = piece;
      this.#block = block;
      this.#blockStart = start;
      this.#blockEnd = end;
      this.#exchange.responseBody(piece, complete);
      this.#piece = undefined;
      this.#block = undefined;
    }
    if (complete) this.#complete();
  }

  answerTrailers(trailers: readonly (readonly [name: string, value: string])[]): void {
    if (this.#closed) return;
    this.#trailers = trailerLines(trailers);
    if (this.#bypass) {
      if (!this.#client.headSent) this.#sendHead(undefined);
      this.#client.endWithTrailers(this.#trailers);
    } else this.#exchange.responseTrailers();
    this.#complete();
  }

  answerRead(): void {
    if (this.#closed) return;
    const client = this.#client;
    const answer = this.#answer;
    // A stream's head must not wait for its first event.
    if (!client.headSent && answer !== undefined && (this.#bypass || isEventStream(answer))) {
      this.#sendHead(this.#bypass ? announcedBytes(answer) : undefined);
      client.flushHead();
    }
    if (client.isBehind) this.#upstream?.pause();
  }

  answerFailed(failure: UpstreamFailure): void {
    this.#upstream = undefined;
    if (this.#closed) return;
    const { metrics, logger } = this.#context;
    const routed = this.#routed;
    const next = afterFailure(failure);
    const more = routed !== undefined && this.#target + 1 < routed.targets.length;
    const retried = routed !== undefined && (next === "fresh-connection" || (next === "next-endpoint" && more));
    logger.info(
      {
        requestId: this.#exchange.requestId,
        endpoint: this.#servedBy,
        kind: failure.kind,
        problem: failure.problem,
        attempt: this.#attempts,
        retried,
      },
      "model server failed a request",
    );
    if (retried) {
      if (next === "fresh-connection") metrics.retriedFreshConnection.inc();
      else {
        metrics.retriedNextEndpoint.inc();
        this.#target++;
      }
      this.#send(routed, next === "fresh-connection");
      return;
    }
    const refusal = failureReply(failure, this.#context.limits.responseHeaderTimeoutMs);
    // An answer with an error status is counted as such when the exchange closes.
    const answered = this.#answer?.status;
    if (answered === undefined || (answered >= 200 && answered <= 299)) {
      this.#router.metrics.error(this.#exchange.request, refusal.code);
    }
    if (this.#client.headSent) metrics.cutAnswers.inc();
    this.#refuse(refusal);
  }

  #send(routed: RoutedRequest, fresh: boolean): void {
    const endpoint = routed.targets[this.#target]!;
    this.#attempts++;
    this.#servedBy = endpoint.hostPort;
    const trailers = routed.trailersFollow ? trailerLines(pairs(this.#req.rawTrailers), controlHeaders) : "";
    const head = upstreamHead(
      this.#head,
      routed.headers,
      !routed.hasBody ? "none" : trailers === "" ? routed.bodyBytes : "chunked",
      endpoint.hostPort,
      this.#context.headerRefused,
    );
    const body = trailers === "" ? routed.body : chunkedBody(routed.body, trailers);
    const upstream = this.#context.pool.acquire(endpoint, fresh);
    this.#upstream = upstream;
    upstream.send({ head, body, toHead: this.#head.method === "HEAD" }, this);
  }

  /** Starts the answer to the client: the model server's head with what plugins changed in it. */
  #sendHead(bodyBytes: number | undefined): void {
    const { status, headers } = this.#answer!;
    this.#client.sendHead(status, mutatedFields(headers, this.#mutation, this.#context.headerRefused), bodyBytes);
  }

  #servedMetadata(): MetadataObject {
    return { [wireNames.lbNamespace]: { [wireNames.destinationServed]: this.#servedBy } };
  }

  /** The answer is whole and handed over. */
  #complete(): void {
    this.#upstream = undefined;
    if (this.#bypass && !this.#closed) {
      // Those who hold something for the request learn that it ended well; what they say about the answer is too late.
      this.#exchange.responseHeaders(this.#answer!.headers, true, this.#servedMetadata());
    }
    // The exchange has seen the end of the answer, so the cause given here is not used.
    this.#close("error");
  }

  #refuse(refusal: Refusal): void {
    const { body, headers } = refusalReply(refusal, this.#router.errorFormat);
    this.#answerItself(refusal.status, body, headers);
  }

  /** Ends the request with an answer of ours, or without one if the model server's has begun. */
  #answerItself(status: number, text: string, fields: readonly (readonly [name: string, value: string])[]): void {
    if (this.#closed) return;
    this.#close("error");
    if (this.#client.headSent) this.#client.cut();
    else {
      const valid = fields.filter(([name, value]) => isToken(name) && isFieldValue(value));
      this.#client.reply(status, text, valid);
    }
  }

  #close(cause: "client-disconnect" | "error"): void {
    if (this.#closed) return;
    this.#closed = true;
    const upstream = this.#upstream;
    this.#upstream = undefined;
    this.#routed = undefined;
    this.#piece = undefined;
    this.#block = undefined;
    upstream?.abort();
    this.#exchange.close(cause);
  }
}

/** The size of the body as the model server announced it. */
function announcedBytes(head: ResponseHead): number | undefined {
  const value = head.headers.get("content-length");
  return value === undefined ? undefined : Number(value);
}

function isEventStream(head: ResponseHead): boolean {
  return head.headers.get("content-type")?.toLowerCase().includes("text/event-stream") === true;
}

function pairs(flat: readonly string[]): (readonly [name: string, value: string])[] {
  const list: (readonly [string, string])[] = [];
  for (let i = 0; i + 1 < flat.length; i += 2) list.push([flat[i]!, flat[i + 1]!]);
  return list;
}
