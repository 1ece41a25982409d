import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { type AddressInfo, Server as TcpServer } from "node:net";

/** An HTTP server whose listening socket can be closed and opened again while its connections stay. */
export class HttpListener {
  readonly #server: Server;
  readonly #host: string;
  #port: number;
  #openRequests = 0;
  #draining = false;
  #onIdle: (() => void) | undefined;

  constructor(
    host: string,
    port: number,
    maxConnections: number,
    handle: (request: IncomingMessage, response: ServerResponse) => void,
  ) {
    this.#host = host;
    this.#port = port;
    this.#server = createServer({ keepAliveTimeout: 65_000 }, (request, response) => {
      this.#openRequests += 1;
      if (this.#draining) response.shouldKeepAlive = false;
      response.on("close", () => this.#requestClosed());
      handle(request, response);
    });
    this.#server.maxConnections = maxConnections;
  }

  /** The port; the one taken when it was asked for as 0. */
  get port(): number {
    return this.#port;
  }

  get listening(): boolean {
    return this.#server.listening;
  }

  get draining(): boolean {
    return this.#draining;
  }

  get openRequests(): number {
    return this.#openRequests;
  }

  /** `http://host:port`; a wildcard address is shown as loopback. */
  get url(): string {
    const shown = this.#host === "0.0.0.0" ? "127.0.0.1" : this.#host === "::" ? "::1" : this.#host;
    return `http://${shown.includes(":") ? `[${shown}]` : shown}:${this.#port}`;
  }

  /** Starts to listen. Rejects when the address cannot be used. */
  async open(): Promise<void> {
    const server = this.#server;
    if (server.listening) return;
    await new Promise<void>((resolve, reject) => {
      const failed = (error: Error) => {
        server.off("listening", opened);
        reject(error);
      };
      const opened = () => {
        server.off("error", failed);
        resolve();
      };
      server.once("error", failed);
      server.once("listening", opened);
      // A large backlog, since thousands of clients may connect at once.
      server.listen({ host: this.#host, port: this.#port, backlog: 4096 });
    });
    this.#port = addressOf(server)?.port ?? this.#port;
  }

  /** Closes the listening socket: new connections are refused, open ones go on. */
  close(): void {
    // The close of http.Server would also end idle connections.
    if (this.#server.listening) TcpServer.prototype.close.call(this.#server);
  }

  destroyConnections(): void {
    this.#server.closeAllConnections();
  }

  /** Stops listening, lets open requests finish for at most `graceMs`, then destroys what is left. */
  async stop(graceMs: number): Promise<void> {
    this.#draining = true;
    // Called when the listener is closed already, it reports that; ending idle connections is what is wanted then.
    this.#server.close(() => {});
    if (this.#openRequests > 0 && graceMs > 0) {
      await new Promise<void>((resolve) => {
        const timeout = setTimeout(resolve, graceMs);
        this.#onIdle = () => {
          clearTimeout(timeout);
          resolve();
        };
      });
    }
    this.#server.closeAllConnections();
  }

  #requestClosed(): void {
    this.#openRequests -= 1;
    if (!this.#draining) return;
    this.#server.closeIdleConnections();
    if (this.#openRequests === 0) this.#onIdle?.();
  }
}

function addressOf(server: Server): AddressInfo | undefined {
  const address = server.address();
  return typeof address === "object" && address !== null ? address : undefined;
}
