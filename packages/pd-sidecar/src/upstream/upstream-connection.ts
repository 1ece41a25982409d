import { connect, isIP, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { errorText } from "@pointsman/core";
import { type ResponseConsumer, ResponseDecoder } from "@pointsman/http-proxy/http1";
import type { Target } from "./target.ts";
import type { UpstreamFailure, UpstreamFailureKind } from "./upstream-failure.ts";
import type { UpstreamLimits, UpstreamTls } from "./upstream-limits.ts";

/** Gets the answer to one request. After `complete`, trailers or a failure nothing more comes. */
export interface UpstreamListener extends ResponseConsumer {
  answerFailed(failure: UpstreamFailure): void;
  /** The server takes more of a request body that was held back. */
  requestDrained(): void;
}

/** What connections of one pool share. */
export interface ConnectionOwner {
  readonly limits: UpstreamLimits;
  readonly tls: UpstreamTls | undefined;
  /** The connection can take another request. Returns false if it is not wanted. */
  keep(connection: UpstreamConnection): boolean;
  /** The connection is closed. */
  gone(connection: UpstreamConnection): void;
  /** Our own code failed on bytes of this connection. */
  broken(thrown: unknown): void;
}

const readBufferBytes = 64 * 1024;

/**
 * The memory all plain connections read into. What was read is copied out before the next read, and reads of one event
 * loop follow each other. Where reads overlap (Windows), each connection has its own.
 */
const sharedReadBuffer = Buffer.allocUnsafeSlow(readBufferBytes);

const keepAliveProbeMs = 30_000;
/** An idle connection is given up this long before the server said it would close it, milliseconds. */
const keepAliveMarginMs = 1000;

/** A connection to one model server; carries one request at a time. */
export class UpstreamConnection {
  readonly key: string;
  readonly #owner: ConnectionOwner;
  readonly #socket: Socket;
  readonly #decoder: ResponseDecoder;
  readonly #connectTimer: NodeJS.Timeout;
  #listener: UpstreamListener | undefined;
  #connected = false;
  #served = 0;
  #paused = false;
  #closed = false;
  /** More of the request's body may follow. */
  #requestOpen = false;
  #problem: string | undefined;
  #refused = false;
  /** Monotonic milliseconds at which the idle connection is closed. */
  idleUntilMs: number = Number.POSITIVE_INFINITY;

  constructor(owner: ConnectionOwner, target: Target) {
    this.key = target.hostPort;
    this.#owner = owner;
    const { limits, tls } = owner;
    this.#decoder = new ResponseDecoder(limits.maxHeaderBytes);
    const { host, port } = target;
    const keepAlive = { noDelay: true, keepAlive: true, keepAliveInitialDelay: keepAliveProbeMs };
    const timeoutMs = limits.connectTimeoutMs + (tls === undefined ? 0 : limits.tlsHandshakeTimeoutMs);
    this.#connectTimer = setTimeout(() => this.#fail("connect-timeout", "no connection in time"), timeoutMs);
    if (tls === undefined) {
      this.#socket = connect({
        host,
        port,
        ...keepAlive,
        onread: {
          buffer: process.platform === "win32" ? Buffer.allocUnsafeSlow(readBufferBytes) : sharedReadBuffer,
          callback: (length, bytes) => this.#read(length, bytes as Buffer),
        },
      });
      this.#socket.on("connect", () => this.#onConnect());
    } else {
      this.#socket = connectTls({
        host,
        port,
        ...(isIP(host) === 0 ? { servername: host } : {}),
        rejectUnauthorized: !tls.skipVerify,
        ALPNProtocols: ["http/1.1"],
        minVersion: "TLSv1.2",
      });
      this.#socket.setNoDelay(true);
      this.#socket.setKeepAlive(true, keepAliveProbeMs);
      this.#socket.on("secureConnect", () => this.#onConnect());
      this.#socket.on("data", (bytes: Buffer) => {
        if (!this.#read(bytes.length, bytes)) this.#socket.pause();
      });
    }
    this.#socket.on("error", (error: NodeJS.ErrnoException) => {
      this.#problem ??= errorText(error) === "" ? (error.code ?? "connection failed") : errorText(error);
      this.#refused ||= error.code === "ECONNREFUSED";
    });
    this.#socket.on("drain", () => this.#listener?.requestDrained());
    this.#socket.on("end", () => this.#onEnd());
    this.#socket.on("close", () => this.#onClose());
  }

  /**
   * Sends a request; its answer goes to `listener`. Only for a connection that is new or was kept. With `open`, the rest
   * of the body follows with `write`, and `finishRequest` ends it.
   */
  send(head: string, body: readonly Uint8Array[], open: boolean, toHead: boolean, listener: UpstreamListener): void {
    const socket = this.#socket;
    this.#listener = listener;
    this.#requestOpen = open;
    this.idleUntilMs = Number.POSITIVE_INFINITY;
    this.#decoder.begin(toHead);
    if (body.length === 0) {
      socket.write(head, "latin1");
      return;
    }
    socket.cork();
    socket.write(head, "latin1");
    for (const slice of body) socket.write(slice);
    socket.uncork();
  }

  /** Sends more of the body, as it goes on the wire. Returns false when the server is behind. */
  write(parts: readonly Uint8Array[]): boolean {
    if (this.#closed) return true;
    const socket = this.#socket;
    let taken = true;
    socket.cork();
    for (const part of parts) taken = socket.write(part);
    socket.uncork();
    return taken;
  }

  finishRequest(): void {
    this.#requestOpen = false;
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
    clearTimeout(this.#connectTimer);
    this.#owner.gone(this);
    this.#socket.destroy();
  }

  #onConnect(): void {
    this.#connected = true;
    clearTimeout(this.#connectTimer);
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
      const problem = decoder.feed(bytes, length, listener);
      if (problem !== undefined) {
        this.#fail("bad-answer", problem);
        return false;
      }
      if (decoder.complete) this.#release();
    } catch (thrown: unknown) {
      this.#owner.broken(thrown);
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
    const { limits } = this.#owner;
    const hintMs = this.#decoder.keepAliveHintMs;
    const idleMs =
      hintMs === undefined ? limits.idleTimeoutMs : Math.min(hintMs - keepAliveMarginMs, limits.idleTimeoutMs);
    // A server that answered before it took the whole request would take the rest for the next one.
    const usable = this.#decoder.reusable && !this.#requestOpen && this.#socket.writableLength === 0 && idleMs > 0;
    this.idleUntilMs = performance.now() + idleMs;
    if (!usable || !this.#owner.keep(this)) this.close();
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
      this.#owner.broken(thrown);
      this.#fail("bad-answer", errorText(thrown));
    }
  }

  #onClose(): void {
    const problem = this.#problem ?? "closed";
    if (this.#connected || this.#listener === undefined) this.#fail("closed", problem);
    else this.#fail(this.#refused ? "connect-refused" : "connect-failed", problem);
  }

  #fail(kind: UpstreamFailureKind, problem: string): void {
    const listener = this.#listener;
    this.#listener = undefined;
    this.close();
    if (listener === undefined) return;
    try {
      listener.answerFailed({ kind, problem, reused: this.#served > 0, answered: this.#decoder.started });
    } catch (thrown: unknown) {
      this.#owner.broken(thrown);
    }
  }
}
