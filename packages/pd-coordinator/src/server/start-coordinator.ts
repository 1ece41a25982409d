import type { IncomingMessage, ServerResponse } from "node:http";
import { setImmediate as turn } from "node:timers/promises";
import { errorText, type Logger } from "@pointsman/core";
import { HttpListener, startMetricsServer } from "@pointsman/pd-sidecar/shared";
import type { PrometheusMetrics } from "@pointsman/telemetry";
import type { CoordinatorOptions } from "../config/coordinator-options.ts";
import { CoordinatorMetrics } from "../coordinator-metrics.ts";
import { ServiceClient } from "../gateway/service-client.ts";
import { internet, type MediaNetwork } from "../media/media-network.ts";
import { Pipeline } from "../pipeline/pipeline.ts";
import { createSteps } from "../steps/create-steps.ts";
import type { CoordinatorTracing } from "../tracing.ts";
import { Exchange } from "./exchange.ts";
import { RequestHandler } from "./request-handler.ts";

export interface CoordinatorDependencies {
  readonly logger: Logger;
  readonly metrics: PrometheusMetrics;
  readonly tracing?: CoordinatorTracing | undefined;
  /** Where images come from; the internet by default. */
  readonly mediaNetwork?: MediaNetwork;
}

/** A running coordinator. */
export interface Coordinator {
  readonly port: number;
  readonly metricsPort: number | undefined;
  /** Requests that are not answered completely. */
  readonly openRequests: number;
  /**
   * Takes no more requests, lets open ones finish for `graceMs`, then cuts them. Returns how many were cut. Never rejects.
   */
  stop(graceMs: number): Promise<number>;
}

/**
 * Starts a coordinator. Resolves when it listens. Rejects with the system's error when a port cannot be used; nothing is
 * left running then.
 */
export async function startCoordinator(
  options: CoordinatorOptions,
  dependencies: CoordinatorDependencies,
): Promise<Coordinator> {
  const coordinator = new RunningCoordinator(options, dependencies);
  try {
    await coordinator.start();
  } catch (thrown: unknown) {
    await coordinator.stop(0);
    throw thrown;
  }
  return coordinator;
}

/** For a client to read the answer to a request whose body did not come in time. */
const lastWordMs = 500;
/** For requests that are cut to end, their spans with them. */
const lastEndMs = 1000;

class RunningCoordinator implements Coordinator {
  readonly #options: CoordinatorOptions;
  readonly #dependencies: CoordinatorDependencies;
  readonly #metrics: CoordinatorMetrics;
  readonly #gateway: ServiceClient;
  readonly #pipeline: Pipeline;
  readonly #handler: RequestHandler;
  readonly #listener: HttpListener;
  readonly #idle: (() => void)[] = [];
  #metricsServer: { readonly port: number; stop(): void } | undefined;
  #open = 0;
  #draining = false;

  constructor(options: CoordinatorOptions, dependencies: CoordinatorDependencies) {
    this.#options = options;
    this.#dependencies = dependencies;
    this.#metrics = new CoordinatorMetrics(dependencies.metrics);
    const broken = (thrown: unknown): void => this.#broken(thrown);
    const { gateway, maxReplyBytes, maxBodyBytes } = options;
    this.#gateway = new ServiceClient({ ...gateway, maxReplyBytes, broken });
    const network = dependencies.mediaNetwork ?? internet;
    this.#pipeline = new Pipeline(createSteps(options, { gateway: this.#gateway, network, broken }));
    this.#handler = new RequestHandler({
      pipeline: this.#pipeline,
      maxBodyBytes,
      notReady: () => this.#notReady(),
    });
    this.#listener = new HttpListener({
      host: options.host,
      port: options.port,
      pair: undefined,
      onRequest: (req, res) => this.#serve(req, res),
      onUpgrade: undefined,
    });
  }

  get port(): number {
    return this.#listener.port;
  }

  get metricsPort(): number | undefined {
    return this.#metricsServer?.port;
  }

  get openRequests(): number {
    return this.#open;
  }

  async start(): Promise<void> {
    const { host, metricsPort } = this.#options;
    const { metrics, logger } = this.#dependencies;
    await this.#listener.listen();
    if (metricsPort === 0) return;
    this.#metricsServer = await startMetricsServer({
      host,
      port: metricsPort,
      contentType: metrics.contentType,
      page: () => metrics.page(),
      notReady: async () => this.#notReady(),
      logger,
    });
  }

  async stop(graceMs: number): Promise<number> {
    this.#draining = true;
    this.#listener.drain();
    await this.#noneOpen(graceMs);
    const cut = this.#open;
    this.#listener.cut();
    this.#metricsServer?.stop();
    this.#pipeline.stop();
    await this.#noneOpen(lastEndMs);
    // Calls end right after the requests they were for.
    await turn();
    this.#gateway.stop();
    await this.#dependencies.tracing?.shutdown();
    return cut;
  }

  /** Waits until no request is open, for so long at most. */
  async #noneOpen(timeoutMs: number): Promise<void> {
    if (this.#open === 0 || timeoutMs <= 0) return;
    let timer: NodeJS.Timeout | undefined;
    await Promise.race([
      new Promise<void>((resolve) => this.#idle.push(resolve)),
      new Promise<void>((resolve) => {
        timer = setTimeout(resolve, timeoutMs);
      }),
    ]);
    clearTimeout(timer);
  }

  #serve(req: IncomingMessage, res: ServerResponse): void {
    const { logger, tracing } = this.#dependencies;
    const exchange = new Exchange(req, res, {
      metrics: this.#metrics,
      logger,
      lastOnConnection: () => this.#draining,
    });
    this.#open++;
    this.#metrics.openRequests.inc();
    const isInference = this.#handler.infers(exchange);
    if (isInference) {
      exchange.trace = tracing?.begin({
        ...exchange.request,
        requestId: exchange.requestId,
        values: (name) => exchange.headers.values(name),
      });
    }
    this.#limitTimes(exchange, res);
    res.once("close", () => {
      this.#open--;
      this.#metrics.openRequests.dec();
      if (isInference) this.#ended(exchange);
      if (this.#open === 0 && this.#draining) for (const wake of this.#idle.splice(0)) wake();
    });
    this.#handler.handle(exchange).catch((thrown: unknown) => {
      this.#broken(thrown);
      exchange.respond(500, `internal error (request_id: ${exchange.requestId})`);
    });
  }

  /** A client has so long to send its request, and so long to take some of what waits for it. */
  #limitTimes(exchange: Exchange, res: ServerResponse): void {
    const { readTimeoutMs, writeTimeoutMs } = this.#options;
    if (readTimeoutMs !== undefined) {
      const timer = setTimeout(() => {
        exchange.respond(400, "failed to read request body");
        setTimeout(() => res.destroy(), lastWordMs).unref();
      }, readTimeoutMs);
      exchange.req.once("end", () => clearTimeout(timer));
      res.once("close", () => clearTimeout(timer));
    }
    if (writeTimeoutMs !== undefined) {
      res.setTimeout(writeTimeoutMs, () => {
        if (res.writableLength > 0) res.destroy();
      });
    }
  }

  #ended(exchange: Exchange): void {
    const { request, reply, cancellation, requestId, facts } = exchange;
    this.#metrics.requests.labels(request.path, String(reply.status)).inc();
    const problem = reply.status >= 500 ? `status ${reply.status}` : undefined;
    exchange.trace?.end({ "http.response.status_code": reply.status }, problem);
    const { logger } = this.#dependencies;
    if (!logger.isLevelEnabled("debug")) return;
    const durationMs = Math.round((performance.now() - exchange.startedMs) * 10) / 10;
    const { status, bodyBytes } = reply;
    const left = cancellation.isCancelled;
    logger.debug({ requestId, path: request.path, status, bodyBytes, durationMs, left, ...facts }, "request");
  }

  #notReady(): string | undefined {
    return this.#draining ? "shutting down" : undefined;
  }

  #broken(thrown: unknown): void {
    this.#metrics.internalErrors.inc();
    const stack = thrown instanceof Error ? thrown.stack : undefined;
    this.#dependencies.logger.error({ problem: errorText(thrown), stack }, "internal error");
  }
}
