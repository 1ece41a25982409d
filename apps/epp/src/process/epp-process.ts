import { chmodSync } from "node:fs";
import type { EffectiveConfig, PluginGraph } from "@pointsman/config";
import {
  createTimers,
  DecisionLog,
  EppError,
  errorText,
  HeldBodies,
  type InFlightRequests,
  type Logger,
  type MetricsRegistry,
  type ModelRewrites,
  type Objectives,
  type OwnedTimers,
  SchedulerAttempts,
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
import type { PrometheusMetrics } from "@pointsman/telemetry";
import type { Tracing } from "@pointsman/tracing";
import { type AdminServer, createAdminServer } from "../admin/admin-server.ts";
import { eppVersion } from "../cli/version.ts";
import type { ServeOptions } from "../flags/serve-options.ts";
import { type CertificateFiles, type Certificates, readCertificates } from "./certificate-files.ts";
import { CertificateWatch } from "./certificate-watch.ts";
import { discoveredPolicies } from "./discovered-policies.ts";
import { drainWindow } from "./drain-window.ts";
import { type EppHealth, eppHealth } from "./epp-health.ts";
import { extProcTls, rpcTls } from "./ext-proc-tls.ts";
import { GraphRuntime, type RuntimeEnvironment } from "./graph-runtime.ts";
import { GraphSuccession } from "./graph-succession.ts";
import type { Kubernetes } from "./kubernetes.ts";
import { createPoolGauges } from "./pool-gauges.ts";
import { withStreamMetrics } from "./stream-metrics.ts";
import { freeSocketPath } from "./unix-socket.ts";

/** Time for open requests after the drain window; with it and the stop, a pod's grace period of 130 s is enough. */
const gracefulStopMs = 90_000;

export interface EppParts {
  readonly options: ServeOptions;
  readonly effective: EffectiveConfig;
  readonly graph: PluginGraph;
  readonly datastore: Datastore;
  readonly logger: Logger;
  readonly metrics: PrometheusMetrics;
  /** What a discovery plugin finds when absent. */
  readonly objectives?: Objectives;
  readonly rewrites?: ModelRewrites;
  /** Uniform in [0, 1), for what is drawn on the way of a request; the process's own when absent. */
  readonly random?: () => number;
  /** Where requests in flight are kept for those who evict. */
  readonly inFlight?: InFlightRequests;
  /** Stopped with the process, after everything that it follows. */
  readonly tracing?: Tracing;
  /** Where the endpoints come from when there is no discovery plugin. */
  readonly kubernetes?: Kubernetes;
  /** Called when this replica led and must end, since another one may lead. */
  readonly onLeadershipLost?: () => void;
}

/** Ports that are open after the start. */
export interface EppPorts {
  readonly extProc: number;
  readonly health: number;
  readonly metrics: number;
  readonly proxy: number | undefined;
  /** Path of the Unix socket. */
  readonly extProcSocket: string | undefined;
}

/** A running endpoint picker. */
export class EppProcess {
  readonly #parts: EppParts;
  readonly #stops: { readonly what: string; readonly stop: () => void | Promise<void> }[] = [];
  /** At the port and, if asked for, at a Unix socket. */
  readonly #extProc: RpcServer[] = [];
  #proxy: HttpProxy | undefined;
  #timers: OwnedTimers | undefined;
  #health: EppHealth | undefined;
  #graphs: GraphSuccession | undefined;
  #started = false;
  #discovered = false;
  #draining = false;

  constructor(parts: EppParts) {
    this.#parts = parts;
  }

  /** Why requests cannot be served, `undefined` when they can. */
  notReady(): string | undefined {
    return this.#health === undefined ? "starting" : this.#health.notServing("readiness");
  }

  /** All ports are open. */
  get isStarted(): boolean {
    return this.#started;
  }

  /** Starts everything: admin port first, discovery, then the ports that serve requests. On failure nothing stays open. */
  async start(): Promise<EppPorts> {
    try {
      const ports = await this.#start();
      this.#started = true;
      return ports;
    } catch (thrown: unknown) {
      await this.#stopAll();
      throw thrown;
    }
  }

  async #start(): Promise<EppPorts> {
    const { options, graph, datastore, logger, metrics, inFlight, tracing, kubernetes } = this.#parts;
    const random = this.#parts.random ?? Math.random;
    const clock = systemClock;
    const endpoints = () => datastore.snapshot();
    if (tracing !== undefined) this.#stops.push({ what: "tracing", stop: () => tracing.shutdown() });
    // What the flags name must be there before anything opens.
    const tls = await extProcTls(options);
    const timers = createTimers("process", logger);
    this.#timers = timers;
    this.#stops.push({ what: "timers", stop: () => timers.stopAll() });
    // Spans are made out of records, so there are some.
    const records = Math.max(options.decisionLogSize, tracing === undefined ? 0 : 1);
    const decisions = new DecisionLog(records, clock, tracing !== undefined);

    const found = graph.discovery === undefined ? undefined : discoveredPolicies({ logger, metrics, random });
    const { objectives = found?.objectives, rewrites = found?.rewrites } = this.#parts;
    const attempts = new SchedulerAttempts(metrics);
    const environment: RuntimeEnvironment = {
      datastore,
      refreshMetricsIntervalMs: options.refreshMetricsIntervalMs,
      attempts,
      endpoints,
      decisions,
      clock,
      timers,
      logger,
      metrics,
      random,
      maxRequestBodyBytes: options.maxRequestBodyBytes,
      heldBodies: new HeldBodies(options.maxHeldBodyBytes),
      heldAnswers: new HeldBodies(options.maxHeldBodyBytes),
      emitScores: options.emitScores,
      ignoreSubsetHint: options.ignoreSubsetHint,
      requestMetrics: options.requestMetrics,
      errorFormat: options.errorFormat,
      ...(objectives === undefined ? {} : { objectives }),
      ...(rewrites === undefined ? {} : { rewrites }),
      ...(inFlight === undefined ? {} : { inFlight }),
      ...(tracing === undefined ? {} : { tracing }),
    };
    const graphs = new GraphSuccession(
      new GraphRuntime(graph, this.#parts.effective, environment),
      environment,
      found?.sink,
      kubernetes,
    );
    this.#graphs = graphs;
    // Plugins are disposed after everything that calls them.
    this.#stops.unshift({ what: "plugins", stop: () => graphs.stop() });
    graphs.current.start();
    const adminFiles = adminCertificates(options);
    const adminTls = adminFiles === undefined ? undefined : await readCertificates(adminFiles);
    const admin: AdminServer = createAdminServer({
      host: options.bindAddress,
      port: options.metricsPort,
      metrics,
      decisions,
      endpoints,
      pool: { name: options.poolName, namespace: options.poolNamespace },
      signals: () => graphs.current.signals,
      plugins: () => graphs.current.graph.plugins,
      configYaml: () => graphs.current.configYaml,
      profiles: options.pprof,
      ...(adminTls === undefined ? {} : { tls: adminTls }),
      ...(kubernetes?.authorize === undefined ? {} : { authorize: kubernetes.authorize }),
      clock,
      logger,
    });
    const { port: metricsPort } = await listen("metrics-port", options.metricsPort, () => admin.start());
    this.#stops.push({ what: "admin server", stop: () => admin.stop() });
    if (adminFiles !== undefined && adminTls !== undefined) {
      this.#follow("metrics", adminFiles, adminTls, (next) => admin.reloadTls(next));
    }

    infoMetric(metrics);
    const gauges = createPoolGauges({
      metrics,
      pool: options.poolName,
      endpoints,
      clock,
      stalenessMs: options.stalenessMs,
      scraped: () => graphs.current.graph.sources.length > 0,
    });
    // Computed when the page is read, so that it is never older than the page.
    metrics.beforePage(() => gauges.update());

    if (graph.discovery !== undefined) {
      await graphs.startDiscovery();
      this.#discovered = true;
    }
    if (kubernetes !== undefined) {
      this.#stops.push({ what: "kubernetes", stop: () => kubernetes.stop() });
      kubernetes.start(() => this.#parts.onLeadershipLost?.());
    }

    datastore.subscribe(attempts, "scheduler attempts");
    const checks = eppHealth({
      notSynced: () => {
        if (kubernetes !== undefined) return kubernetes.notSynced();
        return this.#discovered ? undefined : "the endpoints are not known yet";
      },
      ...(kubernetes === undefined ? {} : { appProtocol: () => kubernetes.appProtocol() }),
      ...(kubernetes?.leading === undefined ? {} : { leading: kubernetes.leading }),
      draining: () => this.#draining,
      parsers: () => graphs.current.graph.parsers,
      plugins: () => graphs.current.graph.plugins,
    });
    this.#health = checks;
    const health = healthMethods(checks);
    const extProcRpc = extProcMethod(() => graphs.current.router);
    const methods = new Map([
      [processMethod, options.streamMetrics ? withStreamMetrics(extProcRpc, metrics, clock) : extProcRpc],
    ]);
    if (options.healthOnExtProcPort) for (const [path, method] of health) methods.set(path, method);
    const createServer = serverFactory(options.extProcTransport, metrics, logger);
    const extProcOptions = {
      host: options.bindAddress,
      port: options.grpcPort,
      methods,
      maxReceiveBytes: options.maxReceiveBytes,
      ...(options.maxSendBytes === undefined ? {} : { maxSendBytes: options.maxSendBytes }),
    };
    const extProc = createServer({ ...extProcOptions, ...(tls === undefined ? {} : { tls: tls.tls }) });
    const extProcPort = await listen("grpc-port", options.grpcPort, () => extProc.start());
    this.#extProc.push(extProc);
    this.#stops.push({ what: "ext_proc server", stop: () => extProc.stop() });
    const { extProcSocket } = options;
    if (extProcSocket !== undefined) {
      const server = createServer({ ...extProcOptions, socketPath: extProcSocket });
      await listen("ext-proc-socket", extProcSocket, async () => {
        await freeSocketPath(extProcSocket);
        await server.start();
        this.#stops.push({ what: "ext_proc server at the Unix socket", stop: () => server.stop() });
        // The proxy in the next container is another user; a pod's volumes give both one group.
        chmodSync(extProcSocket, 0o660);
      });
      this.#extProc.push(server);
    }
    if (tls?.follow !== undefined) {
      const { files, current } = tls.follow;
      this.#follow("ext_proc", files, current, (next) => extProc.reloadTls(rpcTls(next, options)));
    }

    let proxyPort: number | undefined;
    if (options.httpProxyPort !== undefined) {
      const port = options.httpProxyPort;
      const proxy = createHttpProxy({
        router: () => graphs.current.router,
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
    return {
      extProc: extProcPort.port,
      health: healthPort.port,
      metrics: metricsPort,
      proxy: proxyPort,
      extProcSocket,
    };
  }

  /**
   * Puts another plugin graph to work in one step; requests in flight end on the one they began with. Returns why that
   * cannot be done, `undefined` when it is; the graph given is disposed then.
   */
  async replaceGraph(graph: PluginGraph, effective: EffectiveConfig): Promise<string | undefined> {
    if (this.#graphs !== undefined && !this.#draining) return this.#graphs.replace(graph, effective);
    await graph.dispose();
    return "the process is not running";
  }

  /** The graph at work. */
  get graph(): PluginGraph {
    return this.#graphs?.current.graph ?? this.#parts.graph;
  }

  /**
   * Turns unhealthy at once and serves on for the drain window, so that whoever sends requests can turn away. Then takes
   * no new ones, gives the open ones up to 90 s, and stops everything. Data is scraped until the last request is done.
   */
  async drain(): Promise<void> {
    if (this.#draining) return;
    this.#draining = true;
    const { options, logger, kubernetes } = this.#parts;
    // Another replica may lead at once; it need not wait for the requests that are open here.
    const released = kubernetes?.release();
    const [proxy, timers] = [this.#proxy, this.#timers];
    proxy?.endKeepAlive();
    const open = (): number =>
      this.#extProc.reduce((sum, server) => sum + server.openStreams(), proxy?.openRequests() ?? 0);
    if (timers !== undefined) {
      await drainWindow({ timeoutMs: options.drainTimeoutMs, whole: options.drainWholeWindow, open, timers });
    }
    logger.info({ open: open() }, "drain window over: no new requests");
    const extProc = this.#extProc.map((server) => server.drain(gracefulStopMs));
    await Promise.all([...extProc, proxy?.drain(gracefulStopMs), released]);
    await this.#stopAll();
  }

  /** Ends everything at once. */
  async stop(): Promise<void> {
    this.#draining = true;
    await this.#stopAll();
  }

  /** Puts certificates to use when their files change. */
  #follow(server: string, files: CertificateFiles, current: Certificates, use: (next: Certificates) => void): void {
    const { metrics, logger } = this.#parts;
    const reloads = metrics.counter({
      name: "llm_d_epp_certificate_reloads_total",
      help: "Changes of certificate files by what became of them.",
      labelNames: ["server", "result"],
    });
    const watch = new CertificateWatch({
      files,
      current,
      use,
      timers: createTimers(`certificate-watch ${server}`, logger),
      logger,
      succeeded: reloads.labels(server, "success"),
      failed: reloads.labels(server, "failure"),
    });
    this.#stops.push({ what: `certificate watch of ${server}`, stop: () => watch.stop() });
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

/** Files of the metrics port's TLS; `undefined` for plain HTTP. */
function adminCertificates(options: ServeOptions): CertificateFiles | undefined {
  if (options.metricsCertDirectory === "") return undefined;
  const file = options.metricsClientCaFile;
  return {
    flag: "metrics-cert-dir",
    directory: options.metricsCertDirectory,
    ...(file === "" ? {} : { clientCa: { flag: "metrics-client-ca-file", file } }),
  };
}

/** The chosen transport, with what it reports going to metrics and the log. */
function serverFactory(
  transport: ServeOptions["extProcTransport"],
  metrics: MetricsRegistry,
  logger: Logger,
): RpcServerFactory {
  const onHandlerError = (error: unknown): void => {
    logger.error(
      { problem: errorText(error), stack: error instanceof Error ? error.stack : undefined },
      "request handler failed; its stream ended",
    );
  };
  if (transport === "grpc-js") return (options) => createGrpcJsServer({ ...options, onHandlerError });
  const violations = metrics.counter({
    name: "llm_d_epp_http2_violations_total",
    help: "What peers of the gRPC ports did against the protocol or beyond a limit.",
    labelNames: ["violation"],
  });
  return (options) =>
    createHttp2Server({ ...options, onHandlerError, onViolation: (name) => violations.labels(name).inc() });
}

/** Names the flag of a port or path that cannot be had. */
async function listen<T>(flag: string, where: number | string, start: () => Promise<T>): Promise<T> {
  try {
    return await start();
  } catch (thrown: unknown) {
    // The proxy says "cannot listen", too; what the system said is enough.
    const reason = thrown instanceof EppError && thrown.code === "EPP_HTTP_PROXY_LISTEN" ? thrown.cause : thrown;
    throw new EppError("EPP_PORT_UNAVAILABLE", `--${flag}=${where}: cannot listen: ${errorText(reason)}`, {
      cause: thrown,
    });
  }
}

function infoMetric(metrics: MetricsRegistry): void {
  metrics
    .gauge({ name: "llm_d_epp_info", help: "Build of the endpoint picker.", labelNames: ["commit", "build_ref"] })
    .labels("", eppVersion())
    .set(1);
}
