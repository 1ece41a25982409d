import { type EffectiveConfig, type PluginGraph, printEffective } from "@pointsman/config";
import {
  DecisionLog,
  EppError,
  errorText,
  hasRole,
  type Logger,
  type MetricsRegistry,
  systemClock,
} from "@pointsman/core";
import type { Datastore } from "@pointsman/datastore";
import { extProcMethod, healthMethods, processMethod } from "@pointsman/ext-proc";
import {
  createGrpcJsServer,
  createHttp2Server,
  type RpcServer,
  type RpcServerFactory,
} from "@pointsman/grpc-transport";
import { createHttpProxy, type HttpProxy } from "@pointsman/http-proxy";
import { createScraper } from "@pointsman/metrics-scraper";
import type { PrometheusMetrics } from "@pointsman/telemetry";
import { type AdminServer, createAdminServer } from "../admin/admin-server.ts";
import type { ServeOptions } from "../flags/serve-options.ts";
import { createRouter } from "./create-router.ts";
import { eppHealth } from "./epp-health.ts";
import { createPoolGauges } from "./pool-gauges.ts";
import { createTimers } from "./process-timers.ts";
import { loadTls, selfSignedTls } from "./self-signed.ts";

export interface EppParts {
  readonly options: ServeOptions;
  readonly effective: EffectiveConfig;
  readonly graph: PluginGraph;
  readonly datastore: Datastore;
  readonly logger: Logger;
  readonly metrics: PrometheusMetrics;
}

/** Ports that are open after the start. */
export interface EppPorts {
  readonly extProc: number;
  readonly health: number;
  readonly metrics: number;
  readonly proxy: number | undefined;
}

/** A running endpoint picker. */
export class EppProcess {
  readonly #parts: EppParts;
  readonly #stops: { readonly what: string; readonly stop: () => void | Promise<void> }[] = [];
  #extProc: RpcServer | undefined;
  #proxy: HttpProxy | undefined;
  #discovered = false;
  #draining = false;

  constructor(parts: EppParts) {
    this.#parts = parts;
  }

  /** Starts everything: admin port first, discovery, then the ports that serve requests. On failure nothing stays open. */
  async start(): Promise<EppPorts> {
    try {
      return await this.#start();
    } catch (thrown: unknown) {
      await this.#stopAll();
      throw thrown;
    }
  }

  async #start(): Promise<EppPorts> {
    const { options, graph, datastore, logger, metrics } = this.#parts;
    const clock = systemClock;
    const endpoints = () => datastore.snapshot();
    const timers = createTimers("process", logger);
    this.#stops.push({ what: "timers", stop: () => timers.stopAll() });
    const decisions = new DecisionLog(options.decisionLogSize, clock);

    for (const { instance } of graph.plugins) {
      if (hasRole(instance, "endpointListener")) datastore.subscribe(instance);
    }
    const signals = graph.consumed.filter((key) => key.scope === "endpoint");
    const admin: AdminServer = createAdminServer({
      host: options.bindAddress,
      port: options.metricsPort,
      metrics,
      decisions,
      endpoints,
      pool: { name: options.poolName, namespace: options.poolNamespace },
      signals: () => signals,
      plugins: () => graph.plugins,
      configYaml: () => printEffective(this.#parts.effective),
      clock,
      logger,
    });
    const { port: metricsPort } = await listen("metrics-port", options.metricsPort, () => admin.start());
    this.#stops.push({ what: "admin server", stop: () => admin.stop() });

    infoMetric(metrics);
    const gauges = createPoolGauges({
      metrics,
      pool: options.poolName,
      endpoints,
      clock,
      stalenessMs: options.stalenessMs,
    });
    // Computed when the page is read, so that it is never older than the page.
    metrics.beforePage(() => gauges.update());

    const scraper = createScraper({
      endpoints: datastore,
      bindings: graph.sources,
      intervalMs: options.refreshMetricsIntervalMs,
      clock,
      random: Math.random,
      logger,
      metrics,
    });
    scraper.start();
    this.#stops.push({ what: "scraper", stop: () => scraper.stop() });

    // Plugins are disposed after everything that calls them.
    this.#stops.unshift({ what: "plugins", stop: () => graph.dispose() });
    if (graph.discovery !== undefined) {
      await graph.discovery.instance.startDiscovery(datastore);
      this.#discovered = true;
    }

    const router = createRouter(graph, {
      endpoints,
      decisions,
      clock,
      timers,
      logger,
      metrics,
      random: Math.random,
      maxRequestBodyBytes: options.maxRequestBodyBytes,
      emitScores: options.emitScores,
      ignoreSubsetHint: options.ignoreSubsetHint,
      recordedSignals: signals,
    });
    const checks = eppHealth({
      synced: () => this.#discovered,
      draining: () => this.#draining,
      parsers: graph.parsers,
      plugins: graph.plugins,
    });
    const health = healthMethods(checks);
    const methods = new Map([[processMethod, extProcMethod(() => router)]]);
    if (options.healthOnExtProcPort) for (const [path, method] of health) methods.set(path, method);
    const tls = !options.secureServing
      ? undefined
      : options.certPath === ""
        ? await selfSignedTls()
        : await loadTls(options.certPath);
    const createServer = serverFactory(options.extProcTransport, metrics, logger);
    const extProc = createServer({
      host: options.bindAddress,
      port: options.grpcPort,
      methods,
      maxReceiveBytes: options.maxReceiveBytes,
      ...(options.maxSendBytes === undefined ? {} : { maxSendBytes: options.maxSendBytes }),
      ...(tls === undefined ? {} : { tls }),
    });
    const extProcPort = await listen("grpc-port", options.grpcPort, () => extProc.start());
    this.#extProc = extProc;
    this.#stops.push({ what: "ext_proc server", stop: () => extProc.stop() });

    let proxyPort: number | undefined;
    if (options.httpProxyPort !== undefined) {
      const port = options.httpProxyPort;
      const proxy = createHttpProxy({
        router: () => router,
        host: options.bindAddress,
        port,
        logger,
        clock,
        metrics,
        ready: () => checks.notServing("readiness"),
      });
      proxyPort = (await listen("http-proxy-port", port, () => proxy.start())).port;
      this.#proxy = proxy;
      this.#stops.push({ what: "http proxy", stop: () => proxy.stop() });
    }

    const healthServer = createServer({
      host: options.bindAddress,
      port: options.grpcHealthPort,
      methods: health,
      maxReceiveBytes: 64 * 1024,
    });
    const healthPort = await listen("grpc-health-port", options.grpcHealthPort, () => healthServer.start());
    this.#stops.push({ what: "health server", stop: () => healthServer.stop() });
    return { extProc: extProcPort.port, health: healthPort.port, metrics: metricsPort, proxy: proxyPort };
  }

  /**
   * Turns unhealthy, takes no new requests, lets open ones finish within the drain time-out, then stops everything.
   * Data keeps being scraped until the last request is done.
   */
  async drain(): Promise<void> {
    if (this.#draining) return;
    this.#draining = true;
    const { drainTimeoutMs } = this.#parts.options;
    await Promise.all([this.#extProc?.drain(drainTimeoutMs), this.#proxy?.drain(drainTimeoutMs)]);
    await this.#stopAll();
  }

  async #stopAll(): Promise<void> {
    for (const { what, stop } of this.#stops.splice(0).reverse()) {
      try {
        await stop();
      } catch (thrown: unknown) {
        this.#parts.logger.error({ what, problem: errorText(thrown) }, "stopping a part failed");
      }
    }
  }
}

/** The chosen transport, with what it reports going to metrics and the log. */
function serverFactory(
  transport: ServeOptions["extProcTransport"],
  metrics: MetricsRegistry,
  logger: Logger,
): RpcServerFactory {
  if (transport === "grpc-js") return createGrpcJsServer;
  const violations = metrics.counter({
    name: "llm_d_epp_http2_violations_total",
    help: "What peers of the gRPC ports did against the protocol or beyond a limit.",
    labelNames: ["violation"],
  });
  return (options) =>
    createHttp2Server({
      ...options,
      onViolation: (name) => violations.labels(name).inc(),
      onHandlerError: (error) => {
        logger.error(
          { problem: errorText(error), stack: error instanceof Error ? error.stack : undefined },
          "request handler failed; its stream ended",
        );
      },
    });
}

/** Names the flag of a port that cannot be had. */
async function listen<T>(flag: string, port: number, start: () => Promise<T>): Promise<T> {
  try {
    return await start();
  } catch (thrown: unknown) {
    throw new EppError("EPP_PORT_UNAVAILABLE", `--${flag}=${port}: cannot listen: ${errorText(thrown)}`, {
      cause: thrown,
    });
  }
}

function infoMetric(metrics: MetricsRegistry): void {
  metrics
    .gauge({ name: "llm_d_epp_info", help: "Build of the endpoint picker.", labelNames: ["commit", "build_ref"] })
    .labels("", "pointsman")
    .set(1);
}
