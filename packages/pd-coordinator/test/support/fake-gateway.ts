import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";

/** Which service or phase a request is for. */
export type Phase = "render" | "conditional" | "encode" | "prefill" | "decode";

export interface SeenRequest {
  readonly phase: Phase;
  readonly url: string;
  readonly headers: IncomingMessage["headers"];
  readonly rawHeaders: readonly string[];
  readonly text: string;
  readonly json: Record<string, unknown>;
  /** The connection ended before the answer was complete. */
  cut: boolean;
}

export interface Reply {
  readonly status?: number;
  readonly headers?: Record<string, string>;
  readonly body?: unknown;
}

/** Answers a request: a reply, or by itself with the response. */
export type Answer = Reply | ((seen: SeenRequest, res: ServerResponse) => Reply | void | Promise<void>);

/** A gateway and a rendering service in one; answers of a phase are given in order, the last again and again. */
export class FakeGateway {
  readonly seen: SeenRequest[] = [];
  readonly #answers: Partial<Record<Phase, readonly Answer[]>>;
  readonly #served = new Map<Phase, number>();
  readonly #sockets = new Set<Socket>();
  readonly #server: Server;
  connections = 0;

  constructor(answers: Partial<Record<Phase, Answer | readonly Answer[]>>) {
    this.#answers = Object.fromEntries(
      Object.entries(answers).map(([phase, answer]) => [phase, Array.isArray(answer) ? answer : [answer]]),
    );
    this.#server = createServer((req, res) => this.#handle(req, res));
    this.#server.on("connection", (socket: Socket) => {
      this.connections++;
      this.#sockets.add(socket);
      socket.on("close", () => this.#sockets.delete(socket));
    });
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Phases in the order they were asked for. */
  get order(): Phase[] {
    return this.seen.map(({ phase }) => phase);
  }

  of(phase: Phase): SeenRequest[] {
    return this.seen.filter((each) => each.phase === phase);
  }

  /** The only request of a phase. */
  only(phase: Phase): SeenRequest {
    const all = this.of(phase);
    if (all.length !== 1) throw new Error(`${all.length} requests of phase ${phase}`);
    return all[0]!;
  }

  listen(): Promise<void> {
    return new Promise((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
  }

  close(): Promise<void> {
    return new Promise((resolve) => {
      this.#server.close(() => resolve());
      for (const socket of this.#sockets) socket.destroy();
    });
  }

  #handle(req: IncomingMessage, res: ServerResponse): void {
    const parts: Buffer[] = [];
    req.on("data", (part: Buffer) => parts.push(part));
    req.on("error", () => {});
    req.on("end", () => {
      const text = Buffer.concat(parts).toString("utf8");
      const { url = "", headers, rawHeaders } = req;
      const profile = headers["epp-profile"];
      const phase = url.endsWith("/render")
        ? "render"
        : headers["prefer"] === "if-available"
          ? "conditional"
          : (profile as Phase);
      const json = JSON.parse(text) as Record<string, unknown>;
      const seen: SeenRequest = { phase, url, headers, rawHeaders, text, json, cut: false };
      res.on("close", () => {
        if (!res.writableFinished) seen.cut = true;
      });
      this.seen.push(seen);
      const answers = this.#answers[phase];
      const served = this.#served.get(phase) ?? 0;
      this.#served.set(phase, served + 1);
      const answer = answers?.[Math.min(served, answers.length - 1)];
      if (answer === undefined) {
        send(res, { status: 599, body: `no answer for ${phase}` });
        return;
      }
      const reply = typeof answer === "function" ? answer(seen, res) : answer;
      if (reply !== undefined && !(reply instanceof Promise)) send(res, reply);
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

export const hang: Answer = () => {};
