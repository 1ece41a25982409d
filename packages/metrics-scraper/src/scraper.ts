import { lookup } from "node:dns/promises";
import {
  type Clock,
  type Endpoint,
  type EndpointListener,
  type EndpointSnapshot,
  type Logger,
  type MetricsRegistry,
  maxDelayMs,
  type Timers,
} from "@pointsman/core";
import { EndpointPolls } from "./endpoint-polls.ts";
import type { SystemLookup } from "./name-lookup.ts";
import { type PollBinding, prepareBindings } from "./poll-binding.ts";
import { Schedule } from "./schedule.ts";
import type { PollStatus } from "./source-poll.ts";

/** Where the endpoints come from; the datastore is one. */
export interface EndpointFeed {
  snapshot(): EndpointSnapshot;
  /** Tells of changes from here on; whether known endpoints are told first does not matter. Returns what ends it. */
  subscribe(listener: EndpointListener, name?: string): () => void;
}

export interface ScraperOptions {
  readonly endpoints: EndpointFeed;
  readonly bindings: readonly PollBinding[];
  /** Period of sources that state none. */
  readonly intervalMs: number;
  readonly clock: Clock;
  /** Default: those of the process. */
  readonly timers?: Pick<Timers, "after">;
  /** Uniform in [0, 1). */
  random(): number;
  readonly logger: Logger;
  readonly metrics: MetricsRegistry;
  /**
   * Asks servers for packed pages. Saves network at the cost of CPU time at both ends; packed pages are read either
   * way. Default false.
   */
  readonly askForGzip?: boolean;
  /** Looks up the host names of endpoints. Default: the system. */
  readonly lookup?: SystemLookup;
}

/** Polls all endpoints with all bound sources. */
export interface Scraper {
  /** Begins with a first poll of each endpoint at once. Throws when called twice. */
  start(): void;
  /** Ends what is under way and closes all connections; resolves when they are closed. No extractor runs after the call. */
  stop(): Promise<void>;
  /** How each source fares at an endpoint, in the order of the bindings; `undefined` when the endpoint is not polled. */
  status(id: string): readonly PollStatus[] | undefined;
}

const processTimers: Pick<Timers, "after"> = {
  after: (delayMs, run) => {
    const timer = setTimeout(run, Math.min(delayMs, maxDelayMs));
    return { stop: () => clearTimeout(timer) };
  },
};

/**
 * Makes a scraper. Throws when an extractor does not fit its source or a certificate cannot be used.
 *
 * It alone writes `Endpoint.reachability`. Cost: one timer for everything, one connection per endpoint and source.
 */
export function createScraper(options: ScraperOptions): Scraper {
  return new EndpointScraper(options);
}

class EndpointScraper implements Scraper {
  readonly #options: ScraperOptions;
  readonly #schedule: Schedule;
  readonly #polls: Map<string, EndpointPolls> = new Map();
  readonly #add: (endpoint: Endpoint) => void;
  readonly #closing: Set<Promise<void>> = new Set();
  #unsubscribe: (() => void) | undefined;

  constructor(options: ScraperOptions) {
    this.#options = options;
    this.#schedule = new Schedule(options.clock, options.timers ?? processTimers);
    const bindings = prepareBindings(options.bindings, {
      ...options,
      askForGzip: options.askForGzip ?? false,
      lookup: options.lookup ?? ((host) => lookup(host, { all: true })),
    });
    const context = {
      schedule: this.#schedule,
      clock: options.clock,
      logger: options.logger,
      seed: Math.floor(options.random() * 2 ** 32),
      random: () => options.random(),
    };
    this.#add = (endpoint) => {
      const polls = new EndpointPolls(endpoint, bindings, context);
      this.#polls.set(endpoint.id, polls);
      polls.start();
    };
  }

  start(): void {
    if (this.#unsubscribe !== undefined) throw new Error("the scraper has been started before");
    const { endpoints } = this.#options;
    this.#unsubscribe = endpoints.subscribe(
      {
        endpointChanged: ({ type, endpoint }) => {
          if (type === "delete") this.#remove(endpoint.id);
          else this.#addOrUpdate(endpoint);
        },
      },
      "metrics-scraper",
    );
    for (const endpoint of endpoints.snapshot()) {
      if (!this.#polls.has(endpoint.id)) this.#add(endpoint);
    }
  }

  async stop(): Promise<void> {
    this.#unsubscribe?.();
    this.#unsubscribe = () => {};
    for (const id of [...this.#polls.keys()]) this.#remove(id);
    this.#schedule.clear();
    await Promise.all(this.#closing);
  }

  status(id: string): readonly PollStatus[] | undefined {
    return this.#polls.get(id)?.status(this.#options.clock.now());
  }

  #addOrUpdate(endpoint: Endpoint): void {
    const known = this.#polls.get(endpoint.id);
    if (known?.endpoint === endpoint) {
      known.endpointChanged();
      return;
    }
    if (known !== undefined) this.#remove(endpoint.id);
    this.#add(endpoint);
  }

  #remove(id: string): void {
    const polls = this.#polls.get(id);
    if (polls === undefined) return;
    this.#polls.delete(id);
    const closed = polls.stop().finally(() => this.#closing.delete(closed));
    this.#closing.add(closed);
  }
}
