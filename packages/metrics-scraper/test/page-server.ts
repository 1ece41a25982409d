import { once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";
import { createServer as createTlsServer, type TlsOptions } from "node:tls";

/** Answers one request on a socket. */
export type Answer = (socket: Socket, request: string) => void;

/** Text of an answer with a body and a length. */
export function answerText(body: string | Uint8Array, head: readonly string[] = [], status = "200 OK"): Buffer {
  const bytes = Buffer.from(body);
  const lines = [`HTTP/1.1 ${status}`, `content-length: ${bytes.length}`, ...head, "", ""];
  return Buffer.concat([Buffer.from(lines.join("\r\n")), bytes]);
}

/** Sends the same answer to each request. */
export function always(body: string | Uint8Array, head: readonly string[] = [], status = "200 OK"): Answer {
  const bytes = answerText(body, head, status);
  return (socket) => void socket.write(bytes);
}

/** Takes a request and never answers. */
export const hang: Answer = () => {};

/** A server on 127.0.0.1 that does to each request what `answer` says, well-behaved or not. */
export class PageServer {
  answer: Answer;
  requests: string[] = [];
  connections = 0;
  readonly open: Set<Socket> = new Set();
  port = 0;
  readonly #server: Server;

  private constructor(answer: Answer, tls: TlsOptions | undefined) {
    this.answer = answer;
    const onConnection = (socket: Socket): void => {
      this.connections++;
      this.open.add(socket);
      let received = "";
      socket.on("close", () => this.open.delete(socket));
      socket.on("error", () => {});
      socket.on("data", (bytes) => {
        received += bytes.toString("latin1");
        for (let end = received.indexOf("\r\n\r\n"); end >= 0; end = received.indexOf("\r\n\r\n")) {
          const request = received.slice(0, end);
          received = received.slice(end + 4);
          this.requests.push(request);
          this.answer(socket, request);
        }
      });
    };
    this.#server = tls === undefined ? createServer(onConnection) : createTlsServer(tls, onConnection);
    this.#server.on("tlsClientError", () => {});
  }

  static async listen(answer: Answer, options: { port?: number; tls?: TlsOptions } = {}): Promise<PageServer> {
    const server = new PageServer(answer, options.tls);
    server.#server.listen(options.port ?? 0, "127.0.0.1");
    await once(server.#server, "listening");
    const address = server.#server.address();
    if (address === null || typeof address === "string") throw new Error("no port");
    server.port = address.port;
    return server;
  }

  /** Stops listening and ends all connections, as a server does that dies. */
  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const socket of this.open) socket.destroy();
    await closed;
  }
}

/** Waits until `holds` returns true; fails with `what` after twenty seconds. */
export async function until(what: string, holds: () => boolean): Promise<void> {
  const givenUpAtMs = performance.now() + 20_000;
  while (!holds()) {
    if (performance.now() > givenUpAtMs) throw new Error(`waited in vain for: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
