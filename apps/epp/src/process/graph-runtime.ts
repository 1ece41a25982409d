import { createHash } from "node:crypto";
import { type EffectiveConfig, type PluginGraph, printEffective } from "@pointsman/config";
import {
  type AttributeKey,
  type Clock,
  hasRole,
  type Logger,
  type MetricsRegistry,
  OpenExchanges,
  type PluginInstance,
  type Router,
} from "@pointsman/core";
import type { Datastore } from "@pointsman/datastore";
import { createScraper, type Scraper } from "@pointsman/metrics-scraper";
import { createRouter, type RouterEnvironment } from "./create-router.ts";

/** What all graphs of a process share. */
export interface RuntimeEnvironment extends Omit<RouterEnvironment, "recordedSignals" | "open"> {
  readonly datastore: Datastore;
  readonly refreshMetricsIntervalMs: number;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: MetricsRegistry;
}

/** Longest time that requests in flight keep a graph that has been replaced. */
const retireAfterMs = 600_000;

/**
 * One plugin graph at work: it routes requests, its plugins follow the endpoints, and its sources are scraped. Another one
 * can take over from it; then requests in flight end on this one, and what both have in common goes on.
 */
export class GraphRuntime {
  readonly graph: PluginGraph;
  /** The configuration with all defaults. */
  readonly configYaml: string;
  /** Hash of it, 16 hexadecimal digits: the same for files that mean the same. */
  readonly configHash: string;
  readonly router: Router;
  /** Attributes of endpoints that plugins read. */
  readonly signals: readonly AttributeKey<unknown>[];
  readonly #environment: RuntimeEnvironment;
  readonly #open: OpenExchanges = new OpenExchanges();
  /** Ends what plugins hear of endpoints. */
  readonly #listening: Map<PluginInstance, () => void> = new Map();
  #scraper: Scraper | undefined;

  constructor(graph: PluginGraph, effective: EffectiveConfig, environment: RuntimeEnvironment) {
    this.graph = graph;
    this.configYaml = printEffective(effective);
    this.configHash = createHash("sha256").update(this.configYaml).digest("hex").slice(0, 16);
    this.#environment = environment;
    this.signals = graph.consumed.filter((key) => key.scope === "endpoint");
    this.router = createRouter(graph, {
      ...environment,
      open: this.#open,
      recordedSignals: graph.consumed.filter((key) => key.scope === "endpoint" || key.perEndpoint !== undefined),
    });
  }

  /** Starts scraping and lets plugins hear of endpoints; what `previous` does alike is taken over. */
  start(previous?: GraphRuntime): void {
    if (previous !== undefined) this.#takeOver(previous);
    const { datastore, refreshMetricsIntervalMs, clock, logger, metrics } = this.#environment;
    for (const { instance } of this.graph.plugins) {
      if (!hasRole(instance, "endpointListener") || this.#listening.has(instance)) continue;
      this.#listening.set(instance, datastore.subscribe(instance));
    }
    if (this.#scraper !== undefined) return;
    this.#scraper = createScraper({
      endpoints: datastore,
      bindings: this.graph.sources,
      intervalMs: refreshMetricsIntervalMs,
      clock,
      random: Math.random,
      logger,
      metrics,
    });
    this.#scraper.start();
  }

  /** Stops at once. Plugins are disposed after everything that calls them. */
  async stop(): Promise<void> {
    await this.#stopFollowing();
    await this.graph.dispose();
  }

  /** Ends this graph after the last request that it began with: another one has taken over. */
  async retire(): Promise<void> {
    await this.#stopFollowing();
    const { timers, logger } = this.#environment;
    let late: { stop(): void } | undefined;
    const tooLate = new Promise<void>((resolve) => {
      late = timers.after(retireAfterMs, () => {
        logger.warn({ open: this.#open.count }, "requests still use the configuration before; it ends nevertheless");
        resolve();
      });
    });
    await Promise.race([this.#open.none(), tooLate]);
    late?.stop();
    await this.graph.dispose();
  }

  #takeOver(previous: GraphRuntime): void {
    for (const { instance } of this.graph.plugins) {
      const stop = previous.#listening.get(instance);
      if (stop === undefined) continue;
      previous.#listening.delete(instance);
      this.#listening.set(instance, stop);
    }
    if (!sameSources(previous.graph, this.graph)) return;
    this.#scraper = previous.#scraper;
    previous.#scraper = undefined;
  }

  async #stopFollowing(): Promise<void> {
    for (const stop of this.#listening.values()) stop();
    this.#listening.clear();
    const scraper = this.#scraper;
    this.#scraper = undefined;
    await scraper?.stop();
  }
}

/** Whether the same instances scrape and read pages. */
function sameSources(a: PluginGraph, b: PluginGraph): boolean {
  return (
    a.sources.length === b.sources.length &&
    a.sources.every(({ source, extractors }, i) => {
      const other = b.sources[i]!;
      return (
        source.instance === other.source.instance &&
        extractors.length === other.extractors.length &&
        extractors.every(({ instance }, j) => instance === other.extractors[j]!.instance)
      );
    })
  );
}
