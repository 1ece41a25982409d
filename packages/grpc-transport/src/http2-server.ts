import { createServer, type Server, type Socket } from "node:net";
import { createServer as createTlsServer, type TLSSocket, type TlsOptions, type Server as TlsServer } from "node:tls";
import { DeadlineQueue, maxDelayMs } from "./deadline-queue.ts";
import { type ConnectionContext, Http2Connection } from "./http2-connection.ts";
import { defaultHttp2Keepalive, type Http2Keepalive, type Http2Limits, http2Limits } from "./http2-limits.ts";
import type { Http2Violation } from "./http2-violation.ts";
import { type RpcServer, type RpcServerOptions, type RpcTls, rpcStatus } from "./rpc-transport.ts";
import { type ReadSocket, readEvents, SharedReads } from "./shared-reads.ts";
import { SlabPool } from "./slab-pool.ts";

/** What a server holds at a moment. */
export interface Http2ServerLoad {
  readonly connections: number;
  readonly streams: number;
  /** Bytes that wait for slow peers. */
  readonly unsentBytes: number;
  /** RPCs with a deadline that has not passed. */
  readonly deadlines: number;
}

export interface Http2Server extends RpcServer {
  load(): Http2ServerLoad;
}

/** Suites of TLS 1.2 that HTTP/2 allows, before those of TLS 1.3. Source: RFC 9113 section 9.2.2. */
const ciphers = [
  "TLS_AES_128_GCM_SHA256",
  "TLS_AES_256_GCM_SHA384",
  "TLS_CHACHA20_POLY1305_SHA256",
  "ECDHE-ECDSA-AES128-GCM-SHA256",
  "ECDHE-RSA-AES128-GCM-SHA256",
  "ECDHE-ECDSA-AES256-GCM-SHA384",
  "ECDHE-RSA-AES256-GCM-SHA384",
  "ECDHE-ECDSA-CHACHA20-POLY1305",
  "ECDHE-RSA-CHACHA20-POLY1305",
].join(":");

const maxLookMs = 1000;

/** A gRPC server on its own HTTP/2, made for many small messages on streams in both directions. */
export function createHttp2Server(options: RpcServerOptions): Http2Server {
  return new SocketServer(options);
}

class SocketServer implements Http2Server, ConnectionContext {
  readonly #options: RpcServerOptions;
  readonly #server: Server | TlsServer;
  readonly #sockets = new Set<Socket>();
  readonly #connections = new Set<Http2Connection>();
  #looking: NodeJS.Timeout | undefined;
  #isDraining = false;
  readonly #whenEmpty: (() => void)[] = [];

  readonly methods: RpcServerOptions["methods"];
  readonly maxReceiveBytes: number;
  readonly maxSendBytes: number;
  readonly limits: Http2Limits;
  readonly keepalive: Http2Keepalive;
  readonly deadlines: DeadlineQueue;
  readonly slabs: SlabPool = new SlabPool();
  readonly clock = (): number => performance.now();

  constructor(options: RpcServerOptions) {
    this.#options = options;
    this.methods = options.methods;
    this.maxReceiveBytes = options.maxReceiveBytes;
    this.maxSendBytes = options.maxSendBytes ?? Number.POSITIVE_INFINITY;
    this.limits = http2Limits(options.limits);
    this.keepalive = options.keepalive ?? defaultHttp2Keepalive;
    this.deadlines = new DeadlineQueue(this.clock);
    if (options.tls === undefined) {
      const reads = new SharedReads();
      this.#server = createServer({ pauseOnConnect: true }, (socket) => this.#accept(reads.socket(socket), socket));
    } else {
      const handshakeTimeout = Math.min(this.limits.headerTimeoutMs, maxDelayMs);
      const server = createTlsServer({ ...tlsOptions(options.tls), handshakeTimeout });
      server.on("secureConnection", (socket) => this.#acceptSecure(socket));
      server.on("tlsClientError", (_error, socket) => {
        this.violation("tls-error");
        socket.destroy();
      });
      this.#server = server;
    }
    this.#server.maxConnections = this.limits.maxConnections;
    this.#server.on("drop", () => this.violation("too-many-connections"));
    this.#server.on("connection", (socket: Socket) => {
      this.#sockets.add(socket);
      socket.on("close", () => this.#sockets.delete(socket));
    });
  }

  start(): Promise<{ readonly port: number }> {
    const { host, port, socketPath } = this.#options;
    const where = socketPath === undefined ? { host, port } : { path: socketPath };
    return new Promise((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen({ ...where, backlog: 1024 }, () => {
        this.#server.off("error", reject);
        // After that, accepting a connection may fail, as when files run out; the next one is tried again.
        this.#server.on("error", () => {});
        const { headerTimeoutMs } = this.limits;
        const { intervalMs, timeoutMs } = this.keepalive;
        const lookMs = Math.max(10, Math.min(maxLookMs, headerTimeoutMs / 4, intervalMs / 4, timeoutMs / 4));
        this.#looking = setInterval(() => this.#look(), lookMs);
        this.#looking.unref();
        const address = this.#server.address();
        resolve({ port: address === null || typeof address === "string" ? 0 : address.port });
      });
    });
  }

  async drain(timeoutMs: number): Promise<void> {
    this.#isDraining = true;
    this.#server.close();
    for (const connection of [...this.#connections]) connection.drain();
    if (this.#connections.size > 0) {
      const empty = new Promise<void>((resolve) => this.#whenEmpty.push(resolve));
      const timer = setTimeout(
        () => {
          const status = { code: rpcStatus.unavailable, message: "server is shutting down" };
          for (const connection of [...this.#connections]) connection.endAll(status);
          setTimeout(() => this.#empty(), 100);
        },
        Math.min(timeoutMs, maxDelayMs),
      );
      await empty;
      clearTimeout(timer);
    }
    this.stop();
  }

  stop(): void {
    this.#isDraining = true;
    clearInterval(this.#looking);
    this.#server.close();
    for (const connection of [...this.#connections]) connection.destroy();
    for (const socket of [...this.#sockets]) socket.destroy();
    this.deadlines.clear();
    this.#empty();
  }

  reloadTls(tls: RpcTls): void {
    if (!("setSecureContext" in this.#server)) throw new Error("the server speaks plaintext: it has no certificate");
    this.#server.setSecureContext(tlsOptions(tls));
  }

  openStreams(): number {
    let streams = 0;
    for (const connection of this.#connections) streams += connection.openStreams;
    return streams;
  }

  load(): Http2ServerLoad {
    let streams = 0;
    let unsentBytes = 0;
    for (const connection of this.#connections) {
      streams += connection.openStreams;
      unsentBytes += connection.unsentBytes;
    }
    return { connections: this.#connections.size, streams, unsentBytes, deadlines: this.deadlines.size };
  }

  violation(name: Http2Violation): void {
    this.#options.onViolation?.(name);
  }

  handlerThrew(error: unknown): void {
    if (this.#options.onHandlerError !== undefined) this.#options.onHandlerError(error);
    else {
      queueMicrotask(() => {
        throw error;
      });
    }
  }

  connectionClosed(connection: Http2Connection): void {
    this.#connections.delete(connection);
    if (this.#connections.size === 0) this.#empty();
  }

  /** Nothing is left to wait for: each drain that waits goes on. */
  #empty(): void {
    for (const resolve of this.#whenEmpty.splice(0)) resolve();
  }

  #accept(open: ReadSocket, accepted: Socket): void {
    if (this.#isDraining) {
      accepted.destroy();
      return;
    }
    this.#connections.add(new Http2Connection(this, open));
  }

  #acceptSecure(socket: TLSSocket): void {
    if (socket.alpnProtocol !== "h2") {
      this.violation("no-alpn");
      socket.destroy();
      return;
    }
    socket.disableRenegotiation();
    this.#accept(readEvents(socket), socket);
  }

  #look(): void {
    const nowMs = this.clock();
    for (const connection of this.#connections) connection.look(nowMs);
  }
}

function tlsOptions(tls: RpcTls): TlsOptions {
  return {
    cert: tls.cert,
    key: tls.key,
    minVersion: tls.minVersion ?? "TLSv1.2",
    ciphers: tls.ciphers ?? ciphers,
    ALPNProtocols: ["h2"],
  };
}
