import { createServer, type IncomingMessage, type Server, type ServerResponse, STATUS_CODES } from "node:http";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import {
  type Clock,
  EppError,
  type ErrorFormat,
  errorText,
  hostPort,
  type Logger,
  type MetricsRegistry,
  RequestError,
  type Router,
  replyFor,
  systemClock,
  type Timers,
} from "@pointsman/core";
import { clientErrorRefusal, lastResponse, refusalReply } from "./client-error.ts";
import { ClientResponse } from "./client-response.ts";
import { Deadlines } from "./deadlines.ts";
import { type HttpProxyLimits, resolveLimits } from "./http-proxy-limits.ts";
import { ProxiedRequest, type ProxyContext } from "./proxied-request.ts";
import { countAnswer, createProxyMetrics, type ProxyMetrics } from "./proxy-metrics.ts";
import { methodRefusal, type Refusal, type RequestHead, readRequestHead } from "./request-head.ts";
import { systemTimers } from "./system-timers.ts";
import { UpstreamPool } from "./upstream-pool.ts";

export interface HttpProxyOptions {
  /** The router for a request that begins now; the request keeps it to its end. */
  readonly router: () => Router;
  /** Address to listen on. */
  readonly host: string;
  /** 0 takes a free port. */
  readonly port: number;
  readonly logger: Logger;
  readonly metrics: MetricsRegistry;
  /** The system's clock by default. */
  readonly clock?: Clock;
  /** The process's timers by default. */
  readonly timers?: Timers;
  readonly limits?: Partial<HttpProxyLimits>;
  /** Why requests cannot be served yet, for `GET /health`; `undefined` when they can. Always ready when absent. */
  readonly ready?: () => string | undefined;
}

/** The built-in data plane. */
export interface HttpProxy {
  /** Listens. Rejects with `EPP_HTTP_PROXY_LISTEN`. */
  start(): Promise<{ readonly host: string; readonly port: number }>;
  /** Keeps no connection from here on: each ends with its next answer. New ones are still taken. */
  endKeepAlive(): void;
  /**
   * Takes no more connections, ends the idle ones, and resolves when the open requests are done or `timeoutMs` is over.
   * Requests left over go on until `stop`.
   */
  drain(timeoutMs: number): Promise<void>;
  /** Cuts what is open and closes everything. */
  stop(): Promise<void>;
  /** Requests that are not answered yet. */
  openRequests(): number;
}

/** Creates the built-in data plane. Throws `EPP_HTTP_PROXY_LIMIT` for a limit outside its range. */
export function createHttpProxy(options: HttpProxyOptions): HttpProxy {
  return new ProxyServer(options);
}

/** A client that sends this many requests ahead of the answers is disconnected. */
export const maxPipelinedRequests = 16;

const healthPath = "/health";
const keepAliveProbeMs = 30_000;
const timeoutCheckMs = 1_000;

/** A request that is not answered yet. */
interface OpenRequest {
  readonly req: IncomingMessage;
  readonly client: ClientResponse;
  proxied: ProxiedRequest | undefined;
}

/** The open requests of one client connection. */
class ClientConnection {
  /** Oldest first. A Set would hold on to the requests that were in the tables it has outgrown. */
  readonly open: OpenRequest[] = [];
  /** An answer has gone out as the last one. */
  ended = false;

  /** False when the request was not open any more. */
  delete(request: OpenRequest): boolean {
    const at = this.open.indexOf(request);
    if (at === -1) return false;
    this.open.splice(at, 1);
    return true;
  }

  /** No answer comes behind those that are open. */
  get ends(): boolean {
    // Alone, a request has none before it.
    if (this.ended || this.open.length === 1) return this.ended;
    return this.open.some(({ client }) => client.endsConnection);
  }
}

class ProxyServer implements HttpProxy, ProxyContext {
  readonly limits: HttpProxyLimits;
  readonly metrics: ProxyMetrics;
  readonly logger: Logger;
  readonly deadlines: Deadlines;
  readonly pool: UpstreamPool;
  readonly #options: HttpProxyOptions;
  readonly #timers: Timers;
  readonly #server: Server;
  readonly #connections = new WeakMap<Duplex, ClientConnection>();
  readonly #refusedHeaders = new Set<string>();
  #open = 0;
  #keepsAlive = true;
  #draining = false;
  #stopping = false;
  #whenIdle: (() => void)[] = [];

  constructor(options: HttpProxyOptions) {
    this.#options = options;
    this.limits = resolveLimits(options.limits);
    this.metrics = createProxyMetrics(options.metrics);
    this.logger = options.logger;
    this.#timers = options.timers ?? systemTimers;
    this.deadlines = new Deadlines(options.clock ?? systemClock, this.#timers);
    this.pool = new UpstreamPool({
      deadlines: this.deadlines,
      limits: this.limits,
      metrics: this.metrics,
      broken: (thrown) =>
        this.logger.error(
          { cause: errorText(thrown), stack: thrown instanceof Error ? thrown.stack : undefined },
          "reading an answer failed in the proxy",
        ),
    });
    this.#server = this.#createServer();
  }

  async start(): Promise<{ readonly host: string; readonly port: number }> {
    const { host, port } = this.#options;
    const server = this.#server;
    await new Promise<void>((resolve, reject) => {
      const onError = (error: Error): void => {
        reject(
          new EppError(
            "EPP_HTTP_PROXY_LISTEN",
            `the HTTP proxy cannot listen on ${hostPort(host, port)}: ${errorText(error)}`,
            { cause: error },
          ),
        );
      };
      server.once("error", onError);
      server.listen(port, host, () => {
        server.removeListener("error", onError);
        resolve();
      });
    });
    server.on("error", (error) => this.logger.error({ cause: errorText(error) }, "HTTP proxy cannot accept"));
    this.deadlines.start();
    const address = server.address() as AddressInfo; // It listens on TCP, so this is no pipe's name.
    this.logger.info({ host: address.address, port: address.port }, "HTTP proxy listens");
    return { host: address.address, port: address.port };
  }

  endKeepAlive(): void {
    this.#keepsAlive = false;
  }

  async drain(timeoutMs: number): Promise<void> {
    this.endKeepAlive();
    if (!this.#draining) {
      this.#draining = true;
      this.logger.info({ openRequests: this.#open }, "HTTP proxy drains");
      this.#server.close();
      this.#server.closeIdleConnections();
    }
    if (this.#open > 0) {
      await new Promise<void>((resolve) => {
        const timer = this.#timers.after(timeoutMs, resolve);
        this.#whenIdle.push(() => {
          timer.stop();
          resolve();
        });
      });
    }
    this.logger.info({ openRequests: this.#open }, "HTTP proxy has drained");
  }

  async stop(): Promise<void> {
    this.endKeepAlive();
    this.#draining = true;
    this.#stopping = true;
    const closed = this.#server.listening
      ? new Promise<void>((resolve) => this.#server.close(() => resolve()))
      : Promise.resolve();
    this.#server.closeAllConnections();
    await closed;
    // A request ends a moment after its connection was closed.
    if (this.#open > 0) await new Promise<void>((resolve) => this.#whenIdle.push(resolve));
    this.pool.stop();
    this.deadlines.stop();
  }

  openRequests(): number {
    return this.#open;
  }

  lastOnConnection(): boolean {
    return !this.#keepsAlive;
  }

  stopping(): boolean {
    return this.#stopping;
  }

  readonly headerRefused = (name: string): void => {
    if (this.#refusedHeaders.has(name) || this.#refusedHeaders.size >= 100) return;
    this.#refusedHeaders.add(name);
    this.logger.error({ header: name }, "a plugin set a header that is not valid HTTP; it is left out");
  };

  #createServer(): Server {
    const { limits } = this;
    const server = createServer({
      insecureHTTPParser: false,
      // The proxy checks it itself, with an answer of its own.
      requireHostHeader: false,
      maxHeaderSize: limits.maxHeaderBytes,
      headersTimeout: nodeTimeout(limits.headerTimeoutMs),
      requestTimeout: nodeTimeout(limits.requestTimeoutMs),
      keepAliveTimeout: nodeTimeout(limits.keepAliveTimeoutMs),
      connectionsCheckingInterval: timeoutCheckMs,
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: keepAliveProbeMs,
    });
    server.timeout = 0;
    server.maxHeadersCount = limits.maxHeaders + 1;
    if (limits.maxConnections !== undefined) server.maxConnections = limits.maxConnections;
    server.on("request", (req, res) => this.#onRequest(req, res, false));
    server.on("checkContinue", (req, res) => this.#onRequest(req, res, true));
    server.on("checkExpectation", (req, res) => this.#onRequest(req, res, false));
    server.on("connect", (_req, socket: Duplex) => this.#endConnection(socket, methodRefusal("CONNECT")));
    server.on("clientError", (error: NodeJS.ErrnoException, socket: Duplex) => {
      const refusal = clientErrorRefusal(error.code);
      const last = this.#connection(socket).open.at(-1);
      if (refusal !== undefined && last?.req.complete === true) this.#endBehind(last, refusal);
      else this.#endConnection(socket, refusal);
    });
    return server;
  }

  #onRequest(req: IncomingMessage, res: ServerResponse, expectsContinue: boolean): void {
    const connection = this.#connection(req.socket);
    const client = new ClientResponse(req, res, this);
    const open: OpenRequest = { req, client, proxied: undefined };
    connection.open.push(open);
    this.#open++;
    this.metrics.openRequests.inc();
    res.on("error", () => {
      // Writing to a client that has left; `close` follows.
    });
    res.on("close", () => this.#close(connection, open));
    if (connection.open.length > maxPipelinedRequests) {
      req.socket.destroy();
      return;
    }
    // Sent ahead of an answer that turned out to be the connection's last: nobody can get an answer to this one.
    if (connection.ends) return;
    const head = readRequestHead(req, this.limits.maxHeaders);
    if ("status" in head) {
      this.#refuse(client, head, expectsContinue);
      return;
    }
    if (isHealth(head)) {
      this.#answerHealth(client);
      return;
    }
    try {
      const router = this.#options.router();
      if (head.contentLength !== undefined && head.contentLength > router.maxRequestBodyBytes) {
        this.#refuseLength(client, router, expectsContinue);
        return;
      }
      open.proxied = new ProxiedRequest(req, client, head, router, this);
      open.proxied.start(expectsContinue ? () => res.writeContinue() : undefined);
    } catch (thrown: unknown) {
      this.logger.error({ cause: errorText(thrown) }, "request failed in the proxy");
      if (open.proxied !== undefined) open.proxied.fail(thrown);
      else this.#refuse(client, { status: 500, code: "Internal", message: "the proxy failed on this request" }, false);
    }
  }

  #refuse(client: ClientResponse, refusal: Refusal, expectsContinue: boolean): void {
    this.logger.info({ code: refusal.code, problem: refusal.message }, "request rejected");
    const { body, headers } = refusalReply(refusal, this.#errorFormat());
    if (refusal.endsConnection === true) client.endsConnection = true;
    client.reply(refusal.status, body, headers, expectsContinue ? false : undefined);
  }

  #errorFormat(): ErrorFormat | undefined {
    try {
      return this.#options.router().errorFormat;
    } catch {
      // Without a router there is a refusal to answer all the more.
      return undefined;
    }
  }

  /** An announced size beyond the limit need not be received to be refused; the outcome is the exchange's. */
  #refuseLength(client: ClientResponse, router: Router, expectsContinue: boolean): void {
    const error = new RequestError("PayloadTooLarge", `request body exceeds ${router.maxRequestBodyBytes} bytes`);
    router.metrics.error(undefined, error.code);
    this.logger.info({ code: error.code, problem: error.message }, "request rejected");
    const { status, body, headers } = replyFor(error, router.errorFormat);
    client.reply(status, body, headers, expectsContinue ? false : undefined);
  }

  #answerHealth(client: ClientResponse): void {
    const reason = this.#draining ? "shutting down" : this.#options.ready?.();
    // The one that asks is open, too.
    const body =
      reason === undefined ? { status: "ok", openRequests: this.#open - 1 } : { status: "unavailable", reason };
    client.reply(reason === undefined ? 200 : 503, JSON.stringify(body), [
      ["content-type", "application/json"],
      ["cache-control", "no-store"],
    ]);
  }

  /** What follows a whole request is none, or comes too slowly: the connection ends with that request's answer. */
  #endBehind({ client }: OpenRequest, { code, message }: Refusal): void {
    // The parser complains again about all that arrives.
    if (client.endsConnection) return;
    client.endsConnection = true;
    this.logger.info({ code, problem: message }, "what follows a request on its connection is not read");
  }

  /** Answers what is no request, where that cannot be taken for the answer to another request, and closes. */
  #endConnection(socket: Duplex, refusal: Refusal | undefined): void {
    const [only, second] = this.#connection(socket).open;
    if (second === undefined && only?.client.endDespiteBody() === true) return;
    const mayAnswer = second === undefined && (only === undefined || (!only.req.complete && !only.client.headSent));
    if (refusal === undefined || !mayAnswer || !socket.writable) {
      socket.destroy();
      return;
    }
    this.logger.info({ code: refusal.code, problem: refusal.message }, "request rejected");
    countAnswer(this.metrics, refusal.status);
    const reason = STATUS_CODES[refusal.status] ?? "";
    socket.end(lastResponse(refusal, reason, this.#errorFormat()), () => socket.destroy());
  }

  #connection(socket: Duplex): ClientConnection {
    let connection = this.#connections.get(socket);
    if (connection === undefined) {
      const created = new ClientConnection();
      connection = created;
      this.#connections.set(socket, created);
      // An answer whose turn has not come hears nothing of its connection's end by itself.
      socket.once("close", () => {
        for (const open of [...created.open]) this.#close(created, open);
      });
    }
    return connection;
  }

  /** The answer is out, or the connection is closed. */
  #close(connection: ClientConnection, open: OpenRequest): void {
    if (!connection.delete(open)) return;
    connection.ended ||= open.client.endsConnection;
    // The answer may have begun with the promise to keep the connection.
    if (connection.ended) open.req.socket.destroySoon();
    open.client.closed();
    open.proxied?.clientClosed();
    this.#open--;
    this.metrics.openRequests.dec();
    if (!this.#draining) return;
    if (this.#open === 0) {
      for (const done of this.#whenIdle.splice(0)) done();
    }
    // A connection that was promised to be kept becomes idle only after this event.
    setImmediate(() => this.#server.closeIdleConnections());
  }
}

function isHealth(head: RequestHead): boolean {
  if (head.method !== "GET" && head.method !== "HEAD") return false;
  return head.path === healthPath || head.path.startsWith(`${healthPath}?`);
}

/** For node:http, 0 means that a time-out never strikes. */
function nodeTimeout(timeoutMs: number): number {
  return timeoutMs === Number.POSITIVE_INFINITY ? 0 : timeoutMs;
}
