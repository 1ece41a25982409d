import { type Clock, scaledClock } from "./clock.ts";
import { applyControlPatch, type ControlPatch, type ControlState } from "./control/control-state.ts";
import { Engine, type EngineState } from "./engine/engine.ts";
import { Api, type ApiHost } from "./http/api.ts";
import { ApiError } from "./http/api-error.ts";
import { BodyReader } from "./http/body-reader.ts";
import { HttpListener } from "./http/http-listener.ts";
import { EngineMetrics } from "./metrics/engine-metrics.ts";
import { metricFamilies } from "./metrics/metric-families.ts";
import { MetricsPage } from "./metrics/metrics-page.ts";
import type { ServedModels } from "./openai/generation-request.ts";
import { GenerationService } from "./openai/generation-service.ts";
import { type ModelSimOptions, type ResolvedOptions, resolveOptions } from "./options.ts";

/** A running simulated server. */
export interface ModelSim {
  readonly name: string;
  /** `http://host:port`, without a path. */
  readonly url: string;
  readonly port: number;
  /** Undefined without a control port. */
  readonly controlUrl: string | undefined;
  /** Switches failures on and off. Rejects with an `Error` that lists what is wrong; then nothing has changed. */
  control(patch: ControlPatch): Promise<ControlState>;
  stats(): ModelSimStats;
  /**
   * Ends the server. Open requests may finish for `graceMs` milliseconds of wall time (default 0), then their
   * connections are destroyed. Further calls shorten the time but never lengthen it. Never rejects.
   */
  stop(options?: { readonly graceMs?: number }): Promise<void>;
}

/** The server's true state, which /metrics shows with the delay of an engine step. */
export interface ModelSimStats extends EngineState {
  /** Inference requests accepted and not closed, those that hang included. */
  readonly openRequests: number;
  readonly promptTokens: number;
  readonly generatedTokens: number;
  /** Prompt tokens found in the prefix cache. */
  readonly cacheHitTokens: number;
  readonly finishedRequests: number;
  readonly abortedRequests: number;
  readonly control: ControlState;
}

/** Wall time a step may be late before the engine gives the time up. */
const maxLagWallMs = 50;
const maxControlBytes = 65_536;
const minTotalBodyBytes = 268_435_456;
/** Connections beyond the open inference requests: scrapers, probes, control. */
const spareConnections = 1024;

/**
 * Starts a simulated vLLM server in this process. Resolves when it listens. Rejects with `ModelSimOptionsError` when
 * options are wrong, or with the system's error when the address cannot be used.
 */
export async function startModelSim(options: ModelSimOptions = {}): Promise<ModelSim> {
  const resolved = resolveOptions(options);
  const server = new SimulatedServer(resolved, scaledClock(resolved.timeScale));
  await server.start();
  return server;
}

class SimulatedServer implements ModelSim, ApiHost {
  readonly #options: ResolvedOptions;
  readonly #engine: Engine;
  readonly #metrics: EngineMetrics;
  readonly #page: MetricsPage;
  readonly #generation: GenerationService;
  readonly #main: HttpListener;
  readonly #controlListener: HttpListener | undefined;
  #control: ControlState;
  /** The control changes under way, one after the other. */
  #controlChanges: Promise<unknown> = Promise.resolve();

  constructor(options: ResolvedOptions, clock: Clock) {
    const { logger, model, loraAdapters, maxModelTokens, answerTokens, blockTokens, seed } = options;
    this.#options = options;
    this.#control = options.control;
    const served: ServedModels = { model, loraAdapters, maxModelTokens, answerTokens };
    const maxResidentAdapters = loraAdapters.length === 0 ? 0 : options.maxLoras;
    this.#metrics = new EngineMetrics({
      maxModelTokens,
      unixSeconds: clock.unixSeconds,
      onListenerError: (error) => logger.error("reply failed", { error: String(error) }),
    });
    this.#engine = new Engine(
      {
        blockTokens,
        kvBlocks: options.kvBlocks,
        maxRunningRequests: options.maxRunningRequests,
        maxStepTokens: options.maxStepTokens,
        latency: options,
        maxResidentAdapters,
        adapterLoadMs: options.loraLoadMs,
        maxLagMs: maxLagWallMs * options.timeScale,
      },
      clock,
      this.#metrics,
    );
    this.#page = new MetricsPage(
      this.#metrics,
      metricFamilies(options.engine, this.#metrics, { ...options, maxResidentAdapters }),
      seed,
    );
    const bodies = new BodyReader(options.maxBodyBytes, Math.max(minTotalBodyBytes, options.maxBodyBytes * 4));
    this.#generation = new GenerationService(
      {
        served,
        blockTokens,
        streamIntervalTokens: options.streamIntervalTokens,
        maxOpenRequests: options.maxOpenRequests,
        seed,
        role: options.role,
        kvTransferMs: options.kvTransferMs,
        kvTransferPer1kTokensMs: options.kvTransferPer1kTokensMs,
        address: () => ({ host: options.host, port: this.port }),
      },
      this.#engine,
      clock,
      bodies,
      () => this.#control,
    );
    const api = new Api(this, {
      served,
      engine: options.engine,
      generation: this.#generation,
      page: this.#page,
      bodies,
      controlBodies: new BodyReader(maxControlBytes, maxControlBytes * 64),
      startedUnixSeconds: Math.floor(clock.unixSeconds()),
      logger,
    });
    const maxConnections = options.maxOpenRequests + spareConnections;
    this.#main = new HttpListener(options.host, options.port, maxConnections, (request, response) =>
      api.handleMain(request, response),
    );
    if (options.controlPort !== undefined) {
      this.#controlListener = new HttpListener(
        options.host,
        options.controlPort,
        spareConnections,
        (request, response) => api.handleControl(request, response),
      );
    }
  }

  get name(): string {
    return this.#options.name ?? `model-sim-${this.port}`;
  }

  get url(): string {
    return this.#main.url;
  }

  get port(): number {
    return this.#main.port;
  }

  get controlUrl(): string | undefined {
    return this.#controlListener?.url;
  }

  get draining(): boolean {
    return this.#main.draining;
  }

  async start(): Promise<void> {
    this.#apply(this.#control);
    await this.#main.open();
    try {
      await this.#controlListener?.open();
    } catch (error: unknown) {
      await this.#main.stop(0);
      throw error;
    }
    this.#options.logger.info("listening", { url: this.url, controlUrl: this.controlUrl });
    if (this.#control.refuse !== null) this.#main.close();
  }

  controlState(): ControlState {
    return this.#control;
  }

  control(patch: ControlPatch): Promise<ControlState> {
    return this.#changeControl(patch);
  }

  async applyControl(patch: unknown, from: "main" | "control"): Promise<ControlState> {
    const refuses = typeof patch === "object" && patch !== null && "refuse" in patch && patch.refuse !== null;
    if (from === "main" && refuses) {
      const message =
        '"refuse" would close this port, and with it the way to undo it. Start with --control-port and use that port.';
      throw new ApiError(409, message, { param: "refuse" });
    }
    return await this.#changeControl(patch);
  }

  stats(): ModelSimStats {
    const { promptTokens, generatedTokens, cacheHitTokens, finished } = this.#metrics;
    return {
      ...this.#engine.state(),
      openRequests: this.#generation.openRequests,
      promptTokens,
      generatedTokens,
      cacheHitTokens,
      finishedRequests: finished.stop + finished.length,
      abortedRequests: finished.abort,
      control: this.#control,
    };
  }

  async stop({ graceMs = 0 }: { readonly graceMs?: number } = {}): Promise<void> {
    await this.#controlChanges.catch(() => undefined);
    await this.#main.stop(graceMs);
    await this.#controlListener?.stop(0);
    this.#engine.stop();
  }

  #changeControl(patch: unknown): Promise<ControlState> {
    const change = this.#controlChanges.then(async () => {
      const result = applyControlPatch(this.#control, patch);
      if ("problems" in result) {
        const lines = result.problems.map(
          ({ path, message }) => `${path === "" ? "the document" : `"${path}"`} ${message}`,
        );
        const param = result.problems[0]?.path;
        throw new ApiError(400, `Control settings: ${lines.join("; ")}.`, param ? { param } : {});
      }
      if (result.state.refuse === null && this.#control.refuse !== null) await this.#reopen();
      this.#control = result.state;
      this.#apply(result.state);
      if (result.state.refuse !== null) this.#main.close();
      if (result.state.refuse === "all") this.#main.destroyConnections();
      this.#options.logger.info("control changed", { control: result.state });
      return result.state;
    });
    // The next change waits for this one, whatever becomes of it; its caller gets the rejection.
    this.#controlChanges = change.catch(() => undefined);
    return change;
  }

  async #reopen(): Promise<void> {
    if (this.draining) throw new ApiError(409, "The server is shutting down.");
    try {
      await this.#main.open();
    } catch (error: unknown) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new ApiError(500, `Port ${this.port} cannot be opened again: ${reason}.`, { param: "refuse" });
    }
  }

  #apply(control: ControlState): void {
    this.#engine.setSlowFactor(control.slowFactor);
    this.#page.setPadding(control.metricsPaddingBytes);
    this.#page.setMode(control.metrics);
  }
}
