import { createHttp2Server, type Http2Server, type Http2Violation, type RpcServerOptions } from "../src/index.ts";
import { RawHttp2Client } from "./raw-http2-client.ts";
import { TestService } from "./test-service.ts";

/** A server on a free port with what a test looks at; {@link end} stops everything. */
export class TestServer {
  readonly service: TestService = new TestService();
  readonly violations: Http2Violation[] = [];
  readonly handlerErrors: unknown[] = [];
  readonly server: Http2Server;
  port = 0;
  #waiting: (() => void)[] = [];
  readonly #clients: RawHttp2Client[] = [];

  private constructor(options: Partial<RpcServerOptions>) {
    this.server = createHttp2Server({
      host: "127.0.0.1",
      port: 0,
      methods: this.service.methods,
      maxReceiveBytes: 4_194_304,
      onViolation: (name) => {
        this.violations.push(name);
        for (const run of this.#waiting.splice(0)) run();
      },
      onHandlerError: (error) => this.handlerErrors.push(error),
      ...options,
    });
  }

  static async start(options: Partial<RpcServerOptions> = {}): Promise<TestServer> {
    const server = new TestServer(options);
    server.port = (await server.server.start()).port;
    return server;
  }

  /** Waits until the violations so far satisfy a condition. */
  async until(condition: (names: readonly Http2Violation[]) => boolean): Promise<void> {
    while (!condition(this.violations)) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  async client(options: { greeting?: Buffer } = {}): Promise<RawHttp2Client> {
    const client = await RawHttp2Client.open(this.port, options);
    this.#clients.push(client);
    return client;
  }

  end(): void {
    for (const client of this.#clients) client.close();
    this.server.stop();
  }
}
