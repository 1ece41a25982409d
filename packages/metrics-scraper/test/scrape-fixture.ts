import {
  type Endpoint,
  type EndpointMetadata,
  hostPort,
  type Logger,
  type MetricsRegistry,
  noMetrics,
  type PollingExtractor,
  type PollingSource,
  type PollTarget,
  type PollTls,
  silentLogger,
  systemClock,
} from "@pointsman/core";
import { Datastore } from "@pointsman/datastore";
import { seededRandom } from "@pointsman/testkit";
import { createScraper, type PollBinding, type Scraper, type ScraperOptions } from "../src/index.ts";

/** A page as an extractor got it. */
export interface SeenPage {
  readonly text: string;
  readonly endpoint: Endpoint;
  readonly nowMs: number;
}

export interface LogLine {
  readonly level: string;
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

export interface SourceOptions {
  readonly name?: string;
  readonly intervalMs?: number;
  readonly timeoutMs?: number;
  readonly maxBodyBytes?: number;
  readonly tls?: PollTls;
  readonly target?: (endpoint: Endpoint) => PollTarget | undefined;
  readonly check?: (body: Uint8Array) => string | undefined;
  readonly extractors?: readonly PollingExtractor["extract"][];
}

/** Target of the page at the endpoint's own address. */
export const ownPage = ({ metadata }: Endpoint): PollTarget => ({
  scheme: "http",
  host: metadata.address,
  port: metadata.port,
  path: "/metrics",
});

/** A datastore, a scraper over it and everything they say. */
export class ScrapeFixture {
  readonly store: Datastore = new Datastore({
    pool: { name: "pool", namespace: "default", appProtocol: undefined },
    logger: silentLogger,
  });
  readonly pages: SeenPage[] = [];
  readonly log: LogLine[] = [];
  readonly counts: Map<string, number> = new Map();
  readonly scraper: Scraper;

  constructor(
    sources: readonly SourceOptions[] = [{}],
    options: Partial<Pick<ScraperOptions, "clock" | "timers" | "intervalMs" | "askForGzip" | "lookup">> = {},
  ) {
    this.scraper = createScraper({
      endpoints: this.store,
      bindings: sources.map((source) => this.#binding(source)),
      intervalMs: options.intervalMs ?? 10,
      clock: options.clock ?? systemClock,
      ...(options.timers === undefined ? {} : { timers: options.timers }),
      random: seededRandom(1),
      logger: this.#logger(),
      metrics: this.#metrics(),
      ...(options.askForGzip === undefined ? {} : { askForGzip: options.askForGzip }),
      ...(options.lookup === undefined ? {} : { lookup: options.lookup }),
    });
  }

  add(name: string, port: number, fields: Partial<EndpointMetadata> = {}): Endpoint {
    const address = fields.address ?? "127.0.0.1";
    this.store.upsert({
      id: `default/${name}`,
      namespace: "default",
      name,
      address,
      port,
      metricsHost: hostPort(address, port),
      labels: {},
      rankIndex: 0,
      ...fields,
    });
    return this.store.get(`default/${name}`)!;
  }

  count(family: string, ...labels: readonly string[]): number {
    return this.counts.get([family, ...labels].join(" ")) ?? 0;
  }

  lines(level: string): readonly LogLine[] {
    return this.log.filter((line) => line.level === level);
  }

  #binding(options: SourceOptions): PollBinding {
    const name = options.name ?? "source";
    const instance: PollingSource = {
      payload: "text",
      maxBodyBytes: options.maxBodyBytes ?? 1_000_000,
      pollTarget: options.target ?? ownPage,
      ...(options.intervalMs === undefined ? {} : { intervalMs: options.intervalMs }),
      ...(options.timeoutMs === undefined ? {} : { timeoutMs: options.timeoutMs }),
      ...(options.tls === undefined ? {} : { tls: options.tls }),
      ...(options.check === undefined ? {} : { checkPayload: options.check }),
    };
    const record: PollingExtractor["extract"] = (body, endpoint, nowMs) => {
      this.pages.push({ text: Buffer.from(body).toString(), endpoint, nowMs });
      return undefined;
    };
    return {
      source: { name, type: `${name}-type`, instance },
      extractors: (options.extractors ?? [record]).map((extract, index) => ({
        name: `extractor-${index}`,
        type: `extractor-type-${index}`,
        instance: { payload: "text", extract },
      })),
    };
  }

  #logger(): Logger {
    const write =
      (level: string) =>
      (fields: Readonly<Record<string, unknown>>, message: string): void => {
        this.log.push({ level, message, fields });
      };
    return {
      ...silentLogger,
      error: write("error"),
      warn: write("warn"),
      info: write("info"),
    };
  }

  #metrics(): MetricsRegistry {
    return {
      ...noMetrics,
      counter: ({ name }) => ({
        labels: (...values) => {
          const key = [name, ...values].join(" ");
          return { inc: (amount = 1) => this.counts.set(key, (this.counts.get(key) ?? 0) + amount) };
        },
        remove: () => {},
      }),
    };
  }
}
