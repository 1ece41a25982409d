import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createSecureServer, type Http2SecureServer, Http2ServerRequest, type ServerHttp2Session } from "node:http2";
import type { AddressInfo, Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { CertificatePair } from "./serving-certificate.ts";

export interface RankListenerOptions {
  readonly host: string | undefined;
  readonly port: number;
  /** `undefined`: requests come unencrypted. */
  readonly pair: CertificatePair | undefined;
  onRequest(req: IncomingMessage, res: ServerResponse): void;
  /** `undefined`: the offer of another protocol is not taken up, and the request is one like all others. */
  readonly onUpgrade: ((req: IncomingMessage, socket: Duplex, head: Buffer) => void) | undefined;
}

/** Source: spec disaggregation, section 3. */
const idleTimeoutMs = 300_000;
const headerTimeoutMs = 30_000;
const maxHeaderBytes = 1024 * 1024;
/** No more fit: HTTP/2 counts 32 bytes for each beside its text. */
const maxHeaders = maxHeaderBytes / 32;
const ciphers = [
  "ECDHE-ECDSA-AES128-GCM-SHA256",
  "ECDHE-RSA-AES128-GCM-SHA256",
  "ECDHE-ECDSA-AES256-GCM-SHA384",
  "ECDHE-RSA-AES256-GCM-SHA384",
  "ECDHE-ECDSA-CHACHA20-POLY1305",
  "ECDHE-RSA-CHACHA20-POLY1305",
];
const tls13Ciphers = ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"];

/**
 * Requests with a body that offer another protocol, such as h2c, are served as HTTP/1.1 and go their way by their headers.
 * An option that the types do not list, and Node before 24.9 ignores.
 */
const upgradesOfGet = { shouldUpgradeCallback: (req: IncomingMessage): boolean => req.method === "GET" } as object;

/** A port that takes HTTP/1.1, and HTTP/2 where it is encrypted. */
export class RankListener {
  readonly #options: RankListenerOptions;
  readonly #server: Server | Http2SecureServer;
  readonly #sockets = new Set<Socket>();
  readonly #sessions = new Set<ServerHttp2Session>();
  /**
   * Unfinished HTTP/1.1 answers of each connection. Not sets: V8 keeps what was in the tables that a set has outgrown until
   * it marks the whole heap.
   */
  readonly #answers = new WeakMap<Duplex, ServerResponse[]>();
  #draining = false;

  constructor(options: RankListenerOptions) {
    this.#options = options;
    const { pair } = options;
    if (pair === undefined) {
      const server = createServer({
        maxHeaderSize: maxHeaderBytes,
        noDelay: true,
        highWaterMark: 64 * 1024,
        ...upgradesOfGet,
      });
      server.on("request", (req, res) => this.#serve(req, res));
      server.on("clientError", (error: NodeJS.ErrnoException, socket) => this.#refuse(error, socket));
      this.#server = server;
    } else {
      const server = createSecureServer({
        ...pair,
        allowHTTP1: true,
        minVersion: "TLSv1.2",
        ciphers: [...tls13Ciphers, ...ciphers].join(":"),
        maxHeaderSize: maxHeaderBytes,
        maxHeaderListPairs: maxHeaders,
        maxSessionMemory: 64,
        settings: { maxHeaderListSize: maxHeaderBytes },
      } as Parameters<typeof createSecureServer>[0]);
      // The compatible interface has the methods that are used of node:http's.
      server.on("request", (req, res) =>
        this.#serve(req as unknown as IncomingMessage, res as unknown as ServerResponse),
      );
      server.on("session", (session) => {
        this.#sessions.add(session);
        session.on("close", () => this.#sessions.delete(session));
        session.on("error", () => session.destroy());
        if (this.#draining) session.close();
      });
      server.on("clientError", (error: NodeJS.ErrnoException, socket: Duplex) => this.#refuse(error, socket));
      // The error of a session, told once more: above, it has ended that session, and its requests count how they ended.
      server.on("sessionError", () => {});
      this.#server = server;
    }
    const { onUpgrade } = options;
    if (onUpgrade !== undefined) {
      this.#server.on("upgrade", (req: IncomingMessage, socket: Duplex, head: Buffer) => onUpgrade(req, socket, head));
    }
    this.#server.on("connection", (socket: Socket) => {
      this.#sockets.add(socket);
      socket.on("close", () => this.#sockets.delete(socket));
    });
    this.#server.on("tlsClientError", (_error: Error, socket: Duplex) => socket.destroy());
    // Both kinds of server read these for HTTP/1.1 connections.
    const timeouts = this.#server as Server;
    timeouts.keepAliveTimeout = idleTimeoutMs;
    timeouts.headersTimeout = headerTimeoutMs;
    timeouts.requestTimeout = 0;
    timeouts.timeout = 0;
    timeouts.maxHeadersCount = maxHeaders;
  }

  get port(): number {
    const address = this.#server.address();
    return typeof address === "object" && address !== null ? (address as AddressInfo).port : this.#options.port;
  }

  get isDraining(): boolean {
    return this.#draining;
  }

  listen(): Promise<void> {
    const { host, port } = this.#options;
    return new Promise((resolve, reject) => {
      this.#server.once("error", reject);
      const ready = (): void => {
        this.#server.removeListener("error", reject);
        this.#server.on("error", () => {});
        resolve();
      };
      if (host === undefined) this.#server.listen(port, ready);
      else this.#server.listen(port, host, ready);
    });
  }

  /** Uses another certificate for new connections. */
  setPair(pair: CertificatePair): void {
    (this.#server as Http2SecureServer).setSecureContext(pair);
  }

  /** Takes no more connections, and ends those that carry no request. */
  drain(): void {
    this.#draining = true;
    this.#server.close();
    if ("closeIdleConnections" in this.#server) this.#server.closeIdleConnections();
    for (const session of this.#sessions) session.close();
  }

  /** Ends every connection. */
  cut(): void {
    for (const session of this.#sessions) session.destroy();
    for (const socket of this.#sockets) socket.destroy();
  }

  #serve(req: IncomingMessage, res: ServerResponse): void {
    if (!((req as unknown) instanceof Http2ServerRequest)) {
      // The parser lets a request line say 0.9 or 2.0.
      if (req.httpVersionMajor !== 1) {
        res.writeHead(505, { connection: "close" }).end();
        return;
      }
      const { socket } = req;
      let answers = this.#answers.get(socket);
      if (answers === undefined) {
        answers = [];
        this.#answers.set(socket, answers);
      }
      answers.push(res);
      res.once("close", () => this.#forget(socket, res));
    }
    this.#options.onRequest(req, res);
  }

  #forget(socket: Duplex, res: ServerResponse): void {
    const answers = this.#answers.get(socket);
    const at = answers?.indexOf(res) ?? -1;
    if (at !== -1) answers?.splice(at, 1);
  }

  /** Tells a client that its bytes are no request; within an answer, where that would become part of it, cuts it. */
  #refuse(error: NodeJS.ErrnoException, socket: Duplex): void {
    const hasBegun = this.#answers.get(socket)?.some((res) => res.headersSent) === true;
    if (hasBegun || !socket.writable || error.code === "ECONNRESET") {
      socket.destroy();
      return;
    }
    const status =
      error.code === "HPE_HEADER_OVERFLOW"
        ? "431 Request Header Fields Too Large"
        : error.code === "ERR_HTTP_REQUEST_TIMEOUT"
          ? "408 Request Timeout"
          : "400 Bad Request";
    // Ended, and destroyed once the client has had the chance to read it.
    socket.end(`HTTP/1.1 ${status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n`, () => socket.destroy());
  }
}
