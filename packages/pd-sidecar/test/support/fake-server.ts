import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo, Socket } from "node:net";

export interface SeenRequest {
  readonly server: string;
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingMessage["headers"];
  /** Values of each header, in order. */
  readonly rawHeaders: readonly string[];
  readonly text: string;
  /** Parsed body; undefined when it is no JSON. */
  readonly json: Record<string, unknown> | undefined;
  /** The connection ended before the answer was complete. */
  cut: boolean;
}

export interface Reply {
  readonly status?: number;
  readonly headers?: Record<string, string>;
  readonly body?: unknown;
}

/** Answers a request: a reply, or by itself with the response. */
export type Answer =
  | Reply
  | ((seen: SeenRequest, res: ServerResponse, req: IncomingMessage) => Reply | void | Promise<void>);

/** A model server that remembers what it was asked and answers as told: with `answers` in order, the last again and again. */
export class FakeServer {
  readonly name: string;
  readonly seen: SeenRequest[] = [];
  readonly #server;
  readonly #sockets = new Set<Socket>();
  readonly #log: SeenRequest[];
  answers: readonly Answer[];
  #served = 0;
  connections = 0;

  constructor(name: string, log: SeenRequest[], answers: readonly Answer[], tls?: { cert: string; key: string }) {
    this.name = name;
    this.#log = log;
    this.answers = answers;
    const listener: RequestListener = (req, res) => this.#handle(req, res);
    this.#server =
      tls === undefined ? createServer({ maxHeaderSize: 1 << 20 }, listener) : createTlsServer(tls, listener);
    this.#server.on("connection", (socket: Socket) => {
      this.connections++;
      this.#sockets.add(socket);
      socket.on("close", () => this.#sockets.delete(socket));
    });
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get hostPort(): string {
    return `127.0.0.1:${this.port}`;
  }

  get last(): SeenRequest {
    const seen = this.seen.at(-1);
    if (seen === undefined) throw new Error(`${this.name} was not asked`);
    return seen;
  }

  onUpgrade(listener: (req: IncomingMessage, socket: Socket) => void): void {
    this.#server.on("upgrade", listener as (req: IncomingMessage, socket: unknown) => void);
  }

  /** Takes this many headers of a request; any number for 0. */
  maxHeaders(count: number): void {
    this.#server.maxHeadersCount = count;
  }

  listen(port = 0): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen(port, "127.0.0.1", () => resolve());
    });
  }

  /** Closes the connections that are open; the server goes on. */
  cutConnections(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  close(): Promise<void> {
    return new Promise((resolve) => {
      this.#server.close(() => resolve());
      this.cutConnections();
    });
  }

  #handle(req: IncomingMessage, res: ServerResponse): void {
    const parts: Buffer[] = [];
    req.on("data", (part: Buffer) => parts.push(part));
    req.on("error", () => {});
    req.on("end", () => {
      const text = Buffer.concat(parts).toString("utf8");
      const { method = "", url = "", headers, rawHeaders } = req;
      const seen: SeenRequest = {
        server: this.name,
        method,
        url,
        headers,
        rawHeaders,
        text,
        json: parse(text),
        cut: false,
      };
      res.on("close", () => {
        if (!res.writableFinished) seen.cut = true;
      });
      this.seen.push(seen);
      this.#log.push(seen);
      const answer = this.answers[Math.min(this.#served++, this.answers.length - 1)];
      if (answer === undefined) throw new Error(`${this.name} has no answer`);
      const reply = typeof answer === "function" ? answer(seen, res, req) : answer;
      if (reply === undefined || reply instanceof Promise) return;
      send(res, reply);
    });
  }
}

export function send(res: ServerResponse, { status = 200, headers = {}, body = {} }: Reply): void {
  const bytes = Buffer.isBuffer(body) || typeof body === "string" ? body : JSON.stringify(body);
  const type = typeof body === "string" || Buffer.isBuffer(body) ? {} : { "content-type": "application/json" };
  res.writeHead(status, { ...type, "content-length": Buffer.byteLength(bytes), ...headers }).end(bytes);
}

/** A stream of events, each in a write of its own. */
export function events(...lines: readonly string[]): Answer {
  return (_seen, res) => {
    res.writeHead(200, { "content-type": "text/event-stream" });
    const next = (at: number): void => {
      if (at === lines.length) res.end();
      else res.write(`data: ${lines[at]}\n\n`, () => setImmediate(() => next(at + 1)));
    };
    next(0);
  };
}

function parse(text: string): Record<string, unknown> | undefined {
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch {
    return undefined;
  }
}
