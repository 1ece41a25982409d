import { Exchange, type Logger } from "@pointsman/core";
import { afterEach, beforeEach, expect, type MockInstance, vi } from "vitest";
import { createHttpProxy, type HttpProxy, type HttpProxyOptions } from "../src/http-proxy.ts";
import { FakeMetrics } from "./fake-metrics.ts";
import {
  type ModelServer,
  startModelServer as newModelServer,
  startRawServer as newRawServer,
  type RawServer,
} from "./model-server.ts";
import { RawClient } from "./raw-client.ts";
import { buildTestRouter, type TestRouter, type TestRouterOptions } from "./test-router.ts";

export interface LogLine {
  readonly level: string;
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

export interface RunningProxy extends TestRouter {
  readonly proxy: HttpProxy;
  readonly port: number;
  readonly metrics: FakeMetrics;
  readonly log: LogLine[];
  connect(): Promise<RawClient>;
}

/** What tests start is stopped after each test; then every exchange that began must have been closed, once. */
export class ProxyFixture {
  #cleanUp: (() => Promise<void> | void)[] = [];
  #begun: MockInstance | undefined;
  #closed: MockInstance | undefined;

  constructor() {
    beforeEach(() => {
      this.#begun = vi.spyOn(Exchange.prototype, "requestHeaders");
      this.#closed = vi.spyOn(Exchange.prototype, "close");
    });
    afterEach(async () => {
      for (const run of this.#cleanUp.splice(0).reverse()) await run();
      const begun = this.#begun?.mock.contexts ?? [];
      const closed = this.#closed?.mock.contexts ?? [];
      vi.restoreAllMocks();
      expect(new Set(closed).size).toBe(closed.length);
      expect(new Set(closed)).toEqual(new Set(begun));
    });
  }

  /** Why exchanges were closed, in order. */
  get closeCauses(): readonly unknown[] {
    return (this.#closed?.mock.calls ?? []).map(([cause]) => cause);
  }

  get begunExchanges(): number {
    return this.#begun?.mock.calls.length ?? 0;
  }

  async modelServer(...args: Parameters<typeof newModelServer>): Promise<ModelServer> {
    const server = await newModelServer(...args);
    this.#cleanUp.push(() => server.close());
    return server;
  }

  async rawServer(...args: Parameters<typeof newRawServer>): Promise<RawServer> {
    const server = await newRawServer(...args);
    this.#cleanUp.push(() => server.close());
    return server;
  }

  cleanUp(run: () => Promise<void> | void): void {
    this.#cleanUp.push(run);
  }

  async proxy(
    router: TestRouterOptions,
    options: Partial<Omit<HttpProxyOptions, "metrics" | "logger">> = {},
  ): Promise<RunningProxy> {
    const log: LogLine[] = [];
    const logger = recordingLogger(log);
    const built = buildTestRouter({ logger, ...router });
    const metrics = new FakeMetrics();
    const proxy = createHttpProxy({
      router: () => built.router,
      host: "127.0.0.1",
      port: 0,
      ...options,
      logger,
      metrics,
    });
    const { port } = await proxy.start();
    const clients: RawClient[] = [];
    this.#cleanUp.push(async () => {
      for (const client of clients) client.destroy();
      await proxy.stop();
    });
    return {
      ...built,
      proxy,
      port,
      metrics,
      log,
      connect: async () => {
        const client = await RawClient.connect(port);
        clients.push(client);
        return client;
      },
    };
  }
}

function recordingLogger(log: LogLine[]): Logger {
  const at =
    (level: string) =>
    (fields: Readonly<Record<string, unknown>>, message: string): void => {
      log.push({ level, message, fields });
    };
  const logger: Logger = {
    error: at("error"),
    warn: at("warn"),
    info: at("info"),
    debug: at("debug"),
    isLevelEnabled: () => true,
    child: () => logger,
  };
  return logger;
}
