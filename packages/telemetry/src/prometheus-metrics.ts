import type { MetricOptions, MetricsRegistry } from "@pointsman/core";
import { collectDefaultMetrics, Registry } from "prom-client";
import { AliasMetric } from "./alias-metric.ts";
import { deprecatedNames } from "./deprecated-names.ts";
import { HistogramFamily } from "./histogram-family.ts";
import type { PageMetric } from "./metric-family.ts";
import { CounterFamily, GaugeFamily } from "./number-families.ts";
import { pagePieces } from "./page-pieces.ts";

/** A metrics registry with its text page. */
export interface PrometheusMetrics extends MetricsRegistry {
  /** The page in Prometheus text format. */
  page(): Promise<string>;
  /** The page in pieces of some 64 KiB, made as they are taken, so that a large one holds up nothing else. */
  pieces(): AsyncIterable<string>;
  readonly contentType: string;
  /** Runs before each page, to set values that are computed on demand. */
  beforePage(run: () => void): void;
}

type Family = CounterFamily | GaugeFamily | HistogramFamily;

export interface PrometheusMetricsOptions {
  /** Metrics of Node and the process, too. */
  readonly processMetrics: boolean;
  /** The names of earlier releases of llm-d Router, too; false when absent. */
  readonly deprecatedNames?: boolean;
}

/** Creates a registry. */
export function createPrometheusMetrics(options: PrometheusMetricsOptions): PrometheusMetrics {
  const registry = new Registry();
  if (options.processMetrics) collectDefaultMetrics({ register: registry });
  const known = new Map<string, Family>();
  const shown: PageMetric[] = [];
  const hooks: (() => void)[] = [];
  const openAliases = new Set(options.deprecatedNames === true ? deprecatedNames : []);

  const addAliases = (): void => {
    for (const alias of openAliases) {
      const metric = known.get(alias.of);
      if (metric === undefined || (alias.onlyWith !== undefined && !known.has(alias.onlyWith))) continue;
      openAliases.delete(alias);
      shown.push(new AliasMetric(alias, metric));
    }
  };
  /** A metric that exists under the name, or a new one: two plugins of one type share their families. */
  const once = <F extends Family>(kind: F["type"], name: string, make: () => F): F => {
    const existing = known.get(name);
    if (existing !== undefined) {
      if (existing.type !== kind) throw new Error(`metric ${name} is a ${existing.type}, not a ${kind}`);
      // Each kind has one class.
      return existing as F;
    }
    const made = make();
    known.set(name, made);
    shown.push(made);
    addAliases();
    return made;
  };
  async function* pieces(): AsyncGenerator<string> {
    yield* pagePieces(shown, options.processMetrics ? await registry.metrics() : "");
  }
  const base = ({ name, help, labelNames = [] }: MetricOptions) => ({ name, help: `[ALPHA] ${help}`, labelNames });

  return {
    counter: (o) => once("counter", o.name, () => new CounterFamily(base(o))),
    gauge: (o) => once("gauge", o.name, () => new GaugeFamily(base(o))),
    histogram: (o) => once("histogram", o.name, () => new HistogramFamily({ ...base(o), buckets: o.buckets })),
    async page() {
      let page = "";
      for await (const piece of this.pieces()) page += piece;
      return page;
    },
    pieces() {
      for (const hook of hooks) hook();
      return pieces();
    },
    contentType: registry.contentType,
    beforePage: (run) => {
      hooks.push(run);
    },
  };
}
