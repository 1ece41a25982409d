import { connect, type Socket } from "node:net";
import { errorText } from "@pointsman/core";
import type { Deadline, Deadlines } from "./deadlines.ts";
import type { HttpProxyLimits } from "./http-proxy-limits.ts";
import type { ProxyMetrics } from "./proxy-metrics.ts";
import { type ResponseConsumer, ResponseDecoder } from "./response-decoder.ts";
import type { UpstreamFailure, UpstreamFailureKind } from "./upstream-failure.ts";

/** Gets the answer to one request. After `complete`, trailers or a failure nothing more comes. */
export interface UpstreamListener extends ResponseConsumer {
  /** All of one read has been handed over. */
  answerRead(): void;
  answerFailed(failure: UpstreamFailure): void;
}

/** What connections share. */
export interface UpstreamContext {
  readonly deadlines: Deadlines;
  readonly limits: HttpProxyLimits;
  readonly metrics: ProxyMetrics;
  /** The connection can take another request. Returns false if it is not wanted. */
  keep(connection: UpstreamConnection): boolean;
  /** The connection is closed. */
  gone(connection: UpstreamConnection): void;
  /** Our own code failed on bytes of this connection. */
  broken(thrown: unknown): void;
}

/** One message to send: the head as text, then the body in slices. */
export interface UpstreamRequest {
  readonly head: string;
  readonly body: readonly Uint8Array[];
  readonly toHead: boolean;
}

const readBufferBytes = 64 * 1024;

/**
 * The memory all connections read into. What was read is copied out before the next read, and reads of one event loop
 * follow each other. Where reads overlap (Windows), each connection has its own.
 */
const sharedReadBuffer = Buffer.allocUnsafeSlow(readBufferBytes);

/** Up to this size, copying a body to the head costs less than a write of its own. */
const smallBodyBytes = 8 * 1024;

const keepAliveProbeMs = 30_000;
/** Leaves the server the last word no longer than this before it closes an idle connection, milliseconds. */
const keepAliveMarginMs = 1000;
const maxKeepAliveHintMs = 60_000;

/** A connection to one model server; carries one request at a time. */
export class UpstreamConnection implements Deadline {
  readonly key: string;
  readonly #context: UpstreamContext;
  readonly #socket: Socket;
  readonly #decoder: ResponseDecoder;
  #listener: UpstreamListener | undefined;
  #connected = false;
  #served = 0;
  #paused = false;
  #closed = false;
  #problem: string | undefined;
  deadlineMs: number;
  deadlinePlace = -1;

  constructor(context: UpstreamContext, key: string, host: string, port: number) {
    this.key = key;
    this.#context = context;
    const { deadlines, limits } = context;
    this.#decoder = new ResponseDecoder(limits.maxHeaderBytes);
    this.deadlineMs = deadlines.nowMs + limits.connectTimeoutMs;
    this.#socket = connect({
      host,
      port,
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: keepAliveProbeMs,
      onread: {
        buffer: process.platform === "win32" ? Buffer.allocUnsafeSlow(readBufferBytes) : sharedReadBuffer,
        callback: (length, bytes) => this.#read(length, bytes as Buffer),
      },
    });
    this.#socket.on("connect", () => this.#onConnect());
    this.#socket.on("error", (error) => {
      this.#problem ??= errorText(error);
    });
    this.#socket.on("end", () => this.#onEnd());
    this.#socket.on("close", () => this.#onClose());
    deadlines.add(this);
  }

  /** Sends a request; its answer goes to `listener`. Only for a connection that is new or was kept. */
  send(request: UpstreamRequest, listener: UpstreamListener): void {
    const socket = this.#socket;
    this.#listener = listener;
    this.#decoder.begin(request.toHead);
    if (this.#connected) this.#awaitAnswer();
    if (request.body.length === 0) {
      socket.write(request.head, "latin1");
      return;
    }
    if (request.body.length === 1 && request.body[0]!.length <= smallBodyBytes) {
      // One small write costs less than one of two parts.
      const body = request.body[0]!;
      const text = Buffer.from(body.buffer, body.byteOffset, body.length).toString("latin1");
      socket.write(request.head + text, "latin1");
      return;
    }
    socket.cork();
    socket.write(request.head, "latin1");
    for (const slice of request.body) socket.write(slice);
    socket.uncork();
  }

  /** Stops reading; for use within the delivery of a read. */
  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#socket.resume();
  }

  /** Drops the request and the connection with it: the server sees at once that nobody listens. */
  abort(): void {
    this.#listener = undefined;
    this.close();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#context.deadlines.delete(this);
    this.#context.gone(this);
    this.#socket.destroy();
  }

  expired(): void {
    if (this.#listener === undefined) this.close();
    else if (this.#connected) this.#fail("answer-timeout", "no answer in time");
    else {
      this.#context.metrics.connectTimedOut.inc();
      this.#fail("connect-timeout", "no connection in time");
    }
  }

  #onConnect(): void {
    this.#connected = true;
    this.#context.metrics.connected.inc();
    if (this.#listener !== undefined) this.#awaitAnswer();
  }

  #awaitAnswer(): void {
    const { deadlines, limits } = this.#context;
    this.deadlineMs = deadlines.nowMs + limits.responseHeaderTimeoutMs;
  }

  /** Returns false to stop reading. */
  #read(length: number, bytes: Buffer): boolean {
    const listener = this.#listener;
    if (this.#closed) return false;
    if (listener === undefined) {
      // Nothing was asked, so these bytes answer nothing.
      this.close();
      return false;
    }
    const decoder = this.#decoder;
    try {
      const headBefore = decoder.headRead;
      const problem = decoder.feed(bytes, length, listener);
      if (problem !== undefined) {
        this.#fail("bad-answer", problem);
        return false;
      }
      if (!headBefore && decoder.headRead) this.deadlineMs = Number.POSITIVE_INFINITY;
      listener.answerRead();
      if (decoder.complete) this.#release();
    } catch (thrown: unknown) {
      this.#context.broken(thrown);
      this.#fail("bad-answer", errorText(thrown));
      return false;
    }
    return !this.#paused && !this.#closed;
  }

  /** The answer is complete: keeps the connection for the next request, or closes it. */
  #release(): void {
    if (this.#closed) return;
    this.#listener = undefined;
    this.#served++;
    this.#paused = false;
    const { deadlines, limits } = this.#context;
    const hintMs = this.#decoder.keepAliveHintMs;
    const idleMs =
      hintMs === undefined
        ? limits.upstreamIdleTimeoutMs
        : Math.min(Math.max(hintMs - keepAliveMarginMs, 0), maxKeepAliveHintMs);
    // A server that answered before it took the whole request would take the rest for the next one.
    const wanted =
      this.#decoder.reusable && idleMs > 0 && this.#socket.writableLength === 0 && this.#context.keep(this);
    if (wanted) this.deadlineMs = deadlines.nowMs + idleMs;
    else this.close();
  }

  #onEnd(): void {
    const listener = this.#listener;
    if (listener === undefined) {
      this.close();
      return;
    }
    try {
      const problem = this.#decoder.finish(listener);
      if (problem === undefined) this.abort();
      else this.#fail("closed", problem);
    } catch (thrown: unknown) {
      this.#context.broken(thrown);
      this.#fail("bad-answer", errorText(thrown));
    }
  }

  #onClose(): void {
    const problem = this.#problem ?? "closed";
    if (!this.#connected && this.#listener !== undefined) {
      this.#context.metrics.connectFailed.inc();
      this.#fail("connect-failed", problem);
    } else this.#fail("closed", problem);
  }

  #fail(kind: UpstreamFailureKind, problem: string): void {
    const listener = this.#listener;
    this.#listener = undefined;
    this.close();
    listener?.answerFailed({ kind, problem, reused: this.#served > 0, answered: this.#decoder.started });
  }
}
