import type { IncomingMessage, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import { EppError, errorText, type Logger } from "@pointsman/core";
import type { PrometheusMetrics } from "@pointsman/telemetry";
import type { RankOptions, SidecarOptions } from "../config/sidecar-options.ts";
import { createConnector, moriioSettings } from "../connectors/create-connector.ts";
import type { MoriioSettings } from "../connectors/moriio-params.ts";
import { ChunkedDecode } from "../decode/chunked-decode.ts";
import { DecodeLeg } from "../decode/decode-leg.ts";
import { EncoderStage } from "../encode/encoder-stage.ts";
import { Exchange } from "../exchange.ts";
import { SidecarMetrics } from "../sidecar-metrics.ts";
import { Stages } from "../stages.ts";
import {
  type AllowedTargets,
  anyOfTargets,
  everyTarget,
  listedTargets,
  targetsOfFile,
} from "../targets/allowed-targets.ts";
import { openPool, type PoolTargets, targetsOfPool } from "../targets/pool-targets.ts";
import type { SidecarTracing } from "../tracing.ts";
import { makeTarget, type Target } from "../upstream/target.ts";
import { type UpstreamTls, upstreamDefaults } from "../upstream/upstream-limits.ts";
import { UpstreamPool } from "../upstream/upstream-pool.ts";
import { startMetricsServer } from "./metrics-server.ts";
import { probe } from "./probe.ts";
import { RankHandler } from "./rank-handler.ts";
import { RankListener } from "./rank-listener.ts";
import { readPair, selfSignedPair, watchPair } from "./serving-certificate.ts";
import { tunnel } from "./tunnel.ts";

export interface SidecarDependencies {
  readonly logger: Logger;
  readonly metrics: PrometheusMetrics;
  readonly tracing?: SidecarTracing | undefined;
  /** Knows the pods of an InferencePool; without it no pool can be given. */
  readonly poolTargets?: PoolTargets | undefined;
  /** Longest wait of a start for a pool that is given and not required; 5 s when absent. */
  readonly poolWaitMs?: number;
  /** Ends a start that waits for a pool. */
  readonly signal?: AbortSignal;
}

/** A running sidecar. */
export interface Sidecar {
  /** Listen ports by rank. */
  readonly ports: readonly number[];
  readonly metricsPort: number | undefined;
  /** Requests that are not answered completely. */
  readonly openRequests: number;
  /**
   * Takes no more requests, lets open ones finish for `graceMs`, then cuts them. Returns how many were cut. Never rejects.
   */
  stop(graceMs: number): Promise<number>;
}

/**
 * Starts a sidecar. Resolves when all ranks listen. Rejects with an `EppError` whose code begins with `PD_SIDECAR_`;
 * nothing is left running then.
 */
export async function startSidecar(options: SidecarOptions, dependencies: SidecarDependencies): Promise<Sidecar> {
  const sidecar = new RunningSidecar(options, dependencies);
  try {
    await sidecar.start();
  } catch (thrown: unknown) {
    await sidecar.stop(0);
    throw thrown;
  }
  return sidecar;
}

/** Says which port it is that cannot be had. */
async function named<T>(what: string, listening: Promise<T>): Promise<T> {
  try {
    return await listening;
  } catch (thrown: unknown) {
    throw new EppError("PD_SIDECAR_PORT", `${what}: ${errorText(thrown)}`, { cause: thrown });
  }
}

const defaultPoolWaitMs = 5000;
const maxReplyBytes = 64 * 1024 * 1024;

class RunningSidecar implements Sidecar {
  readonly #options: SidecarOptions;
  readonly #dependencies: SidecarDependencies;
  readonly #metrics: SidecarMetrics;
  readonly #pools: UpstreamPool[] = [];
  readonly #listeners: RankListener[] = [];
  readonly #tunnels = new Set<{ cut(): void }>();
  readonly #idle: (() => void)[] = [];
  #allowed: AllowedTargets = everyTarget;
  #metricsServer: { readonly port: number; stop(): void } | undefined;
  #certificate: { stop(): void } | undefined;
  #open = 0;
  #draining = false;

  constructor(options: SidecarOptions, dependencies: SidecarDependencies) {
    this.#options = options;
    this.#dependencies = dependencies;
    this.#metrics = new SidecarMetrics(dependencies.metrics);
  }

  get ports(): readonly number[] {
    return this.#listeners.map((listener) => listener.port);
  }

  get metricsPort(): number | undefined {
    return this.#metricsServer?.port;
  }

  get openRequests(): number {
    return this.#open;
  }

  async start(): Promise<void> {
    const { logger, metrics } = this.#dependencies;
    const options = this.#options;
    const allowed = await this.#openTargets();
    this.#allowed = allowed;
    metrics.beforePage(() => this.#metrics.targetsRestricted.set(allowed.restricts() ? 1 : 0));
    const moriio = await moriioSettings(options.moriio, this.#metrics, logger);
    const pair = !options.secureProxy
      ? undefined
      : options.certPath === undefined
        ? await selfSignedPair()
        : readPair(options.certPath);
    for (const [rank, rankOptions] of options.ranks.entries()) {
      const handler = this.#handler(rank, rankOptions, moriio);
      const listener: RankListener = new RankListener({
        host: options.host,
        port: rankOptions.port,
        pair,
        onRequest: (req, res) => this.#serve(handler, listener, req, res),
        onUpgrade: (req, socket, head) => this.#tunnel(req, socket, head, rankOptions.decoder),
      });
      this.#listeners.push(listener);
      await named(`--port: rank ${rank} cannot listen on ${rankOptions.port}`, listener.listen());
    }
    if (pair !== undefined && options.certPath !== undefined) {
      this.#certificate = watchPair(
        options.certPath,
        pair,
        (changed) => {
          for (const listener of this.#listeners) listener.setPair(changed);
        },
        logger,
      );
    }
    if (options.metrics !== undefined) {
      const starting = startMetricsServer({
        ...options.metrics,
        contentType: metrics.contentType,
        page: () => metrics.page(),
        notReady: () => this.#notReady(),
        logger,
      });
      this.#metricsServer = await named(`--metrics-port: cannot listen on ${options.metrics.port}`, starting);
    }
  }

  async stop(graceMs: number): Promise<number> {
    this.#draining = true;
    for (const listener of this.#listeners) listener.drain();
    let cut = 0;
    if (this.#open > 0 && graceMs > 0) {
      let timer: NodeJS.Timeout | undefined;
      await Promise.race([
        new Promise<void>((resolve) => this.#idle.push(resolve)),
        new Promise<void>((resolve) => {
          timer = setTimeout(resolve, graceMs);
        }),
      ]);
      clearTimeout(timer);
    }
    cut = this.#open;
    for (const each of this.#tunnels) each.cut();
    for (const listener of this.#listeners) listener.cut();
    this.#certificate?.stop();
    this.#metricsServer?.stop();
    this.#allowed.stop();
    for (const pool of this.#pools) pool.stop();
    await this.#dependencies.tracing?.shutdown();
    return cut;
  }

  async #openTargets(): Promise<AllowedTargets> {
    const { pool, poolRequired, hosts, file } = this.#options.targets;
    const { logger, poolTargets, poolWaitMs = defaultPoolWaitMs, signal } = this.#dependencies;
    const all: AllowedTargets[] = [];
    if (hosts !== undefined) all.push(listedTargets(hosts, "--allowed-targets"));
    if (file !== undefined) all.push(targetsOfFile(file, logger));
    const members = pool === undefined ? undefined : await openPool(poolTargets, pool, poolRequired, logger);
    if (members !== undefined) {
      // Beside a list, a pool that is not known adds nothing to it.
      const openUntilKnown = !poolRequired && all.length === 0;
      const wait = { required: poolRequired, waitMs: poolWaitMs, signal };
      all.push(await targetsOfPool(members, { ...wait, openUntilKnown, logger }));
    }
    return all.length === 0 ? everyTarget : anyOfTargets(all);
  }

  /** Every rank has connections, a connector and an encode stage of its own. */
  #handler(rank: number, rankOptions: RankOptions, moriio: MoriioSettings | undefined): RankHandler {
    const options = this.#options;
    const { tls } = options;
    const stages = new Stages(
      { prefill: this.#pool(tls.prefill), decode: this.#pool(tls.decode), encode: this.#pool(tls.encode) },
      { maxReplyBytes, prefillTimeoutMs: options.prefillTimeoutMs, encodeTimeoutMs: options.encodeTimeoutMs },
      rankOptions.decoder,
    );
    const chunks = options.decodeChunkTokens > 0;
    const decodeLeg = new DecodeLeg(stages, chunks ? new ChunkedDecode(stages, options.decodeChunkTokens) : undefined);
    const p2p = {
      basePort: options.p2pConnectorPort,
      listenPort: options.ranks[0]!.port,
      ranks: options.ranks.length,
    };
    const connector = createConnector({ options, stages, decodeLeg, p2p, plainPool: this.#pool(undefined), moriio });
    const encoder =
      options.ecConnector === undefined
        ? undefined
        : new EncoderStage(stages, { connector: options.ecConnector, maxParallel: options.encodeMaxParallel });
    return new RankHandler({
      stages,
      connector,
      decodeLeg,
      encoder,
      // What is allowed is known before the first rank listens.
      allowed: this.#allowed,
      samples: options.prefillerSampling,
      p2p,
      ownHostPort: () => this.#hostPortOf(rank),
      rankOf: rank === 0 ? (hostPort) => this.#rankOf(hostPort) : undefined,
      chunks,
      maxBodyBytes: options.maxBodyBytes,
    });
  }

  #pool(tls: UpstreamTls | undefined): UpstreamPool {
    const pool = new UpstreamPool({
      limits: { ...upstreamDefaults, maxIdlePerTarget: this.#options.maxIdleConnsPerHost },
      tls,
      broken: (thrown) => this.#broken(thrown),
    });
    this.#pools.push(pool);
    return pool;
  }

  #hostPortOf(rank: number): string | undefined {
    const { podIp } = this.#options;
    return podIp === undefined ? undefined : makeTarget(podIp, this.#listeners[rank]!.port).hostPort;
  }

  #rankOf(hostPort: string): Target | undefined {
    const rank = this.#listeners.findIndex((_, each) => this.#hostPortOf(each) === hostPort.toLowerCase());
    return this.#options.ranks[rank]?.decoder;
  }

  #serve(handler: RankHandler, listener: RankListener, req: IncomingMessage, res: ServerResponse): void {
    const { logger, tracing } = this.#dependencies;
    const exchange = new Exchange(req, res, {
      metrics: this.#metrics,
      logger,
      lastOnConnection: () => listener.isDraining,
    });
    this.#open++;
    this.#metrics.openRequests.inc();
    const isInference = handler.infers(exchange);
    if (isInference) exchange.trace = tracing?.begin(exchange.request);
    res.once("close", () => {
      this.#open--;
      this.#metrics.openRequests.dec();
      if (isInference) this.#metrics.requests.labels(exchange.way, String(exchange.reply.status)).inc();
      exchange.finishTrace({ "llm_d.pd_proxy.way": exchange.way, "http.response.status_code": exchange.reply.status });
      if (this.#options.accessLog) this.#log(exchange);
      if (this.#open === 0 && this.#draining) for (const wake of this.#idle.splice(0)) wake();
    });
    handler.handle(exchange).catch((thrown: unknown) => {
      this.#broken(thrown);
      exchange.fail("InternalError", "the sidecar failed; its log tells more");
    });
  }

  #log(exchange: Exchange): void {
    const { request, reply } = exchange;
    this.#dependencies.logger.info(
      {
        requestId: request.requestId,
        method: request.method,
        path: request.path.slice(0, 256),
        way: exchange.way,
        status: reply.status,
        bodyBytes: reply.bodyBytes,
        durationMs: Math.round((performance.now() - exchange.startedMs) * 10) / 10,
        left: exchange.cancellation.isCancelled,
        ...exchange.facts,
      },
      "request",
    );
  }

  #tunnel(req: IncomingMessage, socket: Duplex, head: Buffer, decoder: Target): void {
    const joined = tunnel(req, socket, head, decoder, this.#options.tls.decode);
    this.#tunnels.add(joined);
    socket.once("close", () => this.#tunnels.delete(joined));
  }

  async #notReady(): Promise<string | undefined> {
    if (this.#draining) return "shutting down";
    for (const { decoder } of this.#options.ranks) {
      const problem = await probe(decoder);
      if (problem !== undefined) return `decode server ${decoder.hostPort}: ${problem}`;
    }
    return undefined;
  }

  #broken(thrown: unknown): void {
    this.#metrics.internalErrors.inc();
    const stack = thrown instanceof Error ? thrown.stack : undefined;
    this.#dependencies.logger.error({ problem: errorText(thrown), stack }, "internal error");
  }
}
