import type { IncomingMessage, ServerResponse } from "node:http";
import { allocateBlock, blockHeadBytes, frameBlock } from "./body-block.ts";
import type { Deadline, Deadlines } from "./deadlines.ts";
import type { HttpProxyLimits } from "./http-proxy-limits.ts";
import { countAnswer, type ProxyMetrics } from "./proxy-metrics.ts";

export interface ClientResponseContext {
  readonly deadlines: Deadlines;
  readonly limits: HttpProxyLimits;
  readonly metrics: ProxyMetrics;
  /** No more requests are wanted on this connection. */
  lastOnConnection(): boolean;
}

/** A refused request's body is read on up to this many bytes, so that the client gets to read the answer. */
export const maxDiscardedBytes: number = 4 * 1024 * 1024;
/** And no longer than this, milliseconds. */
export const maxDiscardMs = 5_000;

/** Up to this size, copying a body to the head costs less than a write of its own. */
const smallBodyBytes = 8 * 1024;

/** Who follows an answer on its way to the client. */
export interface ClientListener {
  clientDrained(): void;
}

/** The answer to one client, and what waits for the client to take it. */
export class ClientResponse implements Deadline {
  readonly #context: ClientResponseContext;
  readonly #req: IncomingMessage;
  readonly #res: ServerResponse;
  #chunked = false;
  /** Only the end of the connection marks the end of the body. */
  #untilClose = false;
  #waiting = false;
  #discarding = false;
  #bodyBegun = false;
  /**
   * Hears when a client that was behind has taken everything. An object and not a function: with a function made for each
   * answer, V8 comes to keep all answers until it marks the whole heap.
   */
  listener: ClientListener | undefined;
  headSent = false;
  ended = false;
  /** The connection ends with this answer. */
  endsConnection = false;
  deadlineMs: number = Number.POSITIVE_INFINITY;
  deadlinePlace = -1;

  constructor(req: IncomingMessage, res: ServerResponse, context: ClientResponseContext) {
    this.#req = req;
    this.#res = res;
    this.#context = context;
  }

  /**
   * Starts the answer. `fields` are names and values in turn, without framing. `bodyBytes` is the size of the body where
   * known: the whole body then comes with one call. Without a size the body is chunked, or ends with the connection for
   * an HTTP/1.0 client.
   */
  sendHead(status: number, fields: string[], bodyBytes: number | undefined): void {
    const res = this.#res;
    const empty = status === 204 || status === 304;
    if (bodyBytes !== undefined) {
      if (!empty) fields.push("content-length", String(bodyBytes));
    } else if (this.#req.method !== "HEAD" && !empty) {
      this.#chunked = this.#req.httpVersion === "1.1";
      this.#untilClose = !this.#chunked;
      if (this.#chunked) fields.push("transfer-encoding", "chunked");
    }
    if (this.endsConnection || this.#context.lastOnConnection()) {
      this.endsConnection = true;
      fields.push("connection", "close");
    }
    this.headSent = true;
    res.writeHead(status, fields);
    // Chunks are framed here, in place: one write for each instead of four.
    if (this.#chunked) res.chunkedEncoding = false;
    countAnswer(this.#context.metrics, status);
  }

  /** Sends the head without waiting for a body. */
  flushHead(): void {
    this.#res.flushHeaders();
  }

  /** Sends the body in `block` from `start` to `end`; the block is used up. */
  sendBlock(block: Buffer, start: number, end: number, last: boolean): void {
    const bytes = this.#chunked ? frameBlock(block, start, end, last) : block.subarray(start, end);
    this.#send(bytes, last);
  }

  /** Sends body bytes that are not in a block. */
  sendBytes(bytes: Uint8Array, last: boolean): void {
    if (this.#chunked) {
      const block = allocateBlock(bytes.length);
      block.set(bytes, blockHeadBytes);
      this.sendBlock(block, blockHeadBytes, blockHeadBytes + bytes.length, last);
    } else this.#send(bytes, last);
  }

  /** Ends the body; `lines` are trailer fields, each with its line end, and dropped where the client cannot get them. */
  endWithTrailers(lines: string): void {
    this.#end(this.#chunked ? Buffer.from(`0\r\n${lines}\r\n`, "latin1") : undefined);
  }

  /** The client has more to take than it may. */
  get isBehind(): boolean {
    return this.#waiting;
  }

  /** A whole answer of our own. While the request's body still arrives, the connection ends after it. */
  reply(
    status: number,
    text: string,
    fields: readonly (readonly [name: string, value: string])[],
    bodyComes: boolean = bodyStillComes(this.#req),
  ): void {
    const body = Buffer.from(text, "utf8");
    const flat: string[] = [];
    if (!fields.some(([name]) => name.toLowerCase() === "content-type")) {
      flat.push("content-type", "text/plain; charset=utf-8");
    }
    for (const [name, value] of fields) flat.push(name, value);
    if (!bodyComes) {
      this.sendHead(status, flat, body.length);
      this.#end(body);
      return;
    }
    this.endsConnection = true;
    this.sendHead(status, flat, body.length);
    if (body.length > 0 && this.#req.method !== "HEAD") this.#res.write(body);
    else this.flushHead();
    this.#discardRest();
  }

  /**
   * Cuts the connection, so that the client sees that the answer is not complete. Where only the end of the connection
   * marks the end of the body, it is reset.
   */
  cut(): void {
    this.#stopWaiting();
    const { socket } = this.#res;
    // A connection whose end is on its way cannot be reset any more.
    if (socket !== null && this.#untilClose && !this.ended && !socket.writableEnded) socket.resetAndDestroy();
    else this.#res.destroy();
  }

  /**
   * The request's body turned out not to be valid. Returns true if that matters no more, because the whole answer is on
   * its way; the connection ends after it.
   */
  endDespiteBody(): boolean {
    if (!this.#discarding) return false;
    this.#res.end();
    return true;
  }

  /** The connection is closed or the answer is out. */
  closed(): void {
    this.#stopWaiting();
    this.#context.deadlines.delete(this);
  }

  expired(): void {
    this.deadlineMs = Number.POSITIVE_INFINITY;
    this.#res.destroy();
  }

  #send(bytes: Uint8Array, last: boolean): void {
    if (last) this.#end(bytes);
    else if (bytes.length > 0) {
      this.#bodyBegun = true;
      if (!this.#res.write(bytes)) this.#fellBehind();
    }
  }

  #end(bytes: Uint8Array | undefined): void {
    this.ended = true;
    this.#stopWaiting();
    const res = this.#res;
    if (bytes === undefined || bytes.length === 0) res.end();
    else if (!this.#bodyBegun && bytes.length <= smallBodyBytes) {
      // As text, a small body goes out together with the head, in one write.
      res.end(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1"), "latin1");
    } else res.end(bytes);
    if (this.#res.writableLength > 0) this.#watch(this.#context.limits.clientStallTimeoutMs);
  }

  #fellBehind(): void {
    const { limits, metrics } = this.#context;
    if (this.#waiting || this.#res.writableLength <= limits.clientBufferBytes) return;
    this.#waiting = true;
    metrics.pausedUpstreams.inc();
    this.#watch(limits.clientStallTimeoutMs);
    this.#res.once("drain", () => {
      if (!this.#waiting) return;
      this.#stopWaiting();
      this.deadlineMs = Number.POSITIVE_INFINITY;
      this.listener?.clientDrained();
    });
  }

  #stopWaiting(): void {
    if (!this.#waiting) return;
    this.#waiting = false;
    this.#context.metrics.pausedUpstreams.dec();
  }

  #watch(timeoutMs: number): void {
    const { deadlines } = this.#context;
    this.deadlineMs = deadlines.nowMs + timeoutMs;
    deadlines.add(this);
  }

  /** Closing with unread bytes would reset the connection and could take the answer with it. */
  #discardRest(): void {
    const req = this.#req;
    let discarded = 0;
    this.ended = true;
    this.#discarding = true;
    this.#watch(maxDiscardMs);
    req.removeAllListeners("data");
    req.on("data", (chunk: Buffer) => {
      discarded += chunk.length;
      if (discarded > maxDiscardedBytes) this.#res.destroy();
    });
    req.once("end", () => this.#res.end());
    req.resume();
  }
}

/** `complete` alone does not tell: it is set only after the event that announces the request. */
function bodyStillComes(req: IncomingMessage): boolean {
  if (req.complete) return false;
  return req.headers["transfer-encoding"] !== undefined || Number(req.headers["content-length"] ?? 0) > 0;
}
