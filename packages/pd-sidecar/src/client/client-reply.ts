import type { IncomingMessage, ServerResponse } from "node:http";
import { constants, type Http2ServerResponse } from "node:http2";
import { TLSSocket } from "node:tls";
import type { Headers } from "@pointsman/core";
import { allocateBlock, blockHeadBytes, frameBlock, trailerLines } from "@pointsman/http-proxy/http1";

/** Bytes a client may be behind before the server it reads from is paused. */
const clientBufferBytes = 256 * 1024;
/** Up to this size, a body is copied behind the head, so that both go out in one write. */
const smallBodyBytes = 8 * 1024;
/** The rest of a refused request's body is read up to this many bytes, so that the client gets to read the answer. */
const maxDiscardedBytes = 4 * 1024 * 1024;

/** The answer to one client. Everything may be called after the client has left, and then does nothing. */
export class ClientReply {
  readonly #req: IncomingMessage;
  readonly #res: ServerResponse;
  readonly #lastOnConnection: () => boolean;
  /** Chunks are framed here, in place: one write for each instead of several. */
  #framed = false;
  #waiting = false;
  #bodyBegun = false;
  headSent = false;
  ended = false;
  /** Of the answer; 0 before it begins. */
  status = 0;
  bodyBytes = 0;
  /** Called when a client that was behind has taken everything. */
  onDrained: (() => void) | undefined;
  /** Fields added to every answer, names and values in turn. */
  extraFields: readonly string[] = [];

  constructor(req: IncomingMessage, res: ServerResponse, lastOnConnection: () => boolean) {
    this.#req = req;
    this.#res = res;
    this.#lastOnConnection = lastOnConnection;
  }

  /** The client has more to take than it may. */
  get isBehind(): boolean {
    return this.#waiting;
  }

  /**
   * Starts the answer with a server's headers. `bodyBytes`: `undefined` where the size is not known; the body is then
   * chunked, or ends with the connection for an HTTP/1.0 client.
   */
  sendHead(
    status: number,
    headers: Headers | undefined,
    bodyBytes: number | undefined,
    extra: readonly string[] = [],
  ): void {
    if (this.headSent) return;
    const fields: string[] = [];
    if (headers !== undefined) {
      const { names, values } = headers;
      for (let i = 0; i < names.length; i++) {
        const name = names[i]!;
        if (name.charCodeAt(0) === 58 || name === "content-length") continue;
        // Of a sidecar behind this one.
        if (name === this.extraFields[0]) continue;
        fields.push(name, values[i]!);
      }
    }
    fields.push(...extra, ...this.extraFields);
    const bodiless = status === 204 || status === 304;
    const isHttp1 = this.#req.httpVersionMajor === 1;
    if (bodyBytes !== undefined) {
      if (!bodiless) fields.push("content-length", String(bodyBytes));
    } else if (isHttp1 && this.#req.method !== "HEAD" && !bodiless && this.#req.httpVersionMinor === 1) {
      fields.push("transfer-encoding", "chunked");
      this.#framed = true;
    }
    if (isHttp1 && this.#lastOnConnection()) fields.push("connection", "close");
    this.headSent = true;
    this.status = status;
    if (this.#res.destroyed) return;
    if (isHttp1) this.#res.writeHead(status, fields);
    else this.#res.writeHead(status, asHeaderObject(fields));
    if (this.#framed) this.#res.chunkedEncoding = false;
  }

  /** Sends the head without waiting for a body. */
  flushHead(): void {
    if (!this.#res.destroyed) this.#res.flushHeaders();
  }

  /** Sends the body in `block` from `start` to `end`; the block, which has room around its body, is used up. */
  sendBlock(block: Buffer, start: number, end: number, last: boolean): void {
    this.bodyBytes += end - start;
    const bytes = this.#framed ? frameBlock(block, start, end, last) : block.subarray(start, end);
    if (last) this.#end(bytes);
    else this.#write(bytes);
  }

  /** Sends body bytes that are not in a block. */
  sendBytes(bytes: Uint8Array, last: boolean): void {
    if (this.#framed) {
      const block = allocateBlock(bytes.length);
      block.set(bytes, blockHeadBytes);
      this.sendBlock(block, blockHeadBytes, blockHeadBytes + bytes.length, last);
      return;
    }
    this.bodyBytes += bytes.length;
    if (last) this.#end(bytes);
    else this.#write(bytes);
  }

  /** Ends the body with trailer fields, which are dropped where the client cannot get them. */
  endWithTrailers(trailers: readonly (readonly [name: string, value: string])[]): void {
    if (this.#framed) this.#end(Buffer.from(`0\r\n${trailerLines(trailers)}\r\n`, "latin1"));
    else this.#end(undefined);
  }

  /** A whole answer. While the request's body still arrives, the connection ends after it. */
  sendWhole(status: number, headers: Headers | undefined, body: Uint8Array, extra: readonly string[] = []): void {
    if (this.headSent) return;
    const bodyComes = bodyStillComes(this.#req);
    this.sendHead(
      status,
      headers,
      body.length,
      bodyComes && !this.#lastOnConnection() ? [...extra, ...this.#closing()] : extra,
    );
    const unsent = this.#req.method === "HEAD" || status === 204 || status === 304;
    const bytes = unsent ? new Uint8Array(0) : body;
    this.bodyBytes += bytes.length;
    if (bodyComes) this.#endAfterBody(bytes);
    else this.#end(bytes);
  }

  /** Cuts the connection, so that the client sees that the answer is not complete. */
  cut(): void {
    this.ended = true;
    if (this.#req.httpVersionMajor !== 1) {
      const { stream } = this.#res as unknown as Http2ServerResponse;
      // Without a code the answer would look complete.
      if (!stream.destroyed) stream.close(constants.NGHTTP2_INTERNAL_ERROR);
      return;
    }
    const { socket } = this.#res;
    // An encrypted connection cannot be reset, nor one whose end is on its way.
    if (socket === null || this.#framed || socket instanceof TLSSocket || socket.writableEnded) this.#res.destroy();
    else socket.resetAndDestroy();
  }

  #closing(): readonly string[] {
    return this.#req.httpVersionMajor === 1 ? ["connection", "close"] : [];
  }

  #write(bytes: Uint8Array): void {
    const res = this.#res;
    if (bytes.length === 0 || res.destroyed || this.ended) return;
    this.#bodyBegun = true;
    if (res.write(bytes) || this.#waiting || res.writableLength <= clientBufferBytes) return;
    this.#waiting = true;
    res.once("drain", () => {
      this.#waiting = false;
      this.onDrained?.();
    });
  }

  #end(bytes: Uint8Array | undefined): void {
    if (this.ended) return;
    this.ended = true;
    this.#waiting = false;
    const res = this.#res;
    if (res.destroyed) return;
    if (bytes === undefined || bytes.length === 0) res.end();
    else if (!this.#bodyBegun && bytes.length <= smallBodyBytes && this.#req.httpVersionMajor === 1) {
      res.end(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1"), "latin1");
    } else res.end(bytes);
  }

  /** Closing with unread bytes would reset the connection and could take the answer with it. */
  #endAfterBody(bytes: Uint8Array): void {
    const req = this.#req;
    const res = this.#res;
    this.ended = true;
    if (res.destroyed) return;
    if (bytes.length > 0) res.write(bytes);
    else res.flushHeaders();
    let discarded = 0;
    req.removeAllListeners("data");
    req.on("data", (chunk: Buffer) => {
      discarded += chunk.length;
      if (discarded > maxDiscardedBytes) res.destroy();
    });
    req.once("end", () => res.end());
    req.resume();
  }
}

/** `complete` alone does not tell: it is set only after the event that announces the request. */
export function bodyStillComes(req: IncomingMessage): boolean {
  if (req.complete) return false;
  if (req.httpVersionMajor !== 1) return !req.readableEnded;
  return req.headers["transfer-encoding"] !== undefined || Number(req.headers["content-length"] ?? 0) > 0;
}

function asHeaderObject(fields: readonly string[]): Record<string, string | string[]> {
  const object = Object.create(null) as Record<string, string | string[]>;
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i]!;
    const before = object[name];
    const value = fields[i + 1]!;
    if (before === undefined) object[name] = value;
    else object[name] = Array.isArray(before) ? [...before, value] : [before, value];
  }
  return object;
}
