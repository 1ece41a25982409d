import type { Counter, Gauge, Histogram, MetricFamily, MetricOptions, MetricsRegistry } from "@pointsman/core";
import {
  collectDefaultMetrics,
  Counter as PromCounter,
  Gauge as PromGauge,
  Histogram as PromHistogram,
  Registry,
} from "prom-client";

/** A metrics registry with its text page. */
export interface PrometheusMetrics extends MetricsRegistry {
  /** The page in Prometheus text format. */
  page(): Promise<string>;
  readonly contentType: string;
  /** Runs before each page, to set values that are computed on demand. */
  beforePage(run: () => void): void;
}

type Metric = PromCounter | PromGauge | PromHistogram;

interface LabelledMetric<M> {
  labels(...values: string[]): M;
  remove(...values: string[]): void;
}

/** Series without labels are bound once as well. */
function family<M>(metric: LabelledMetric<M>): MetricFamily<M> {
  return {
    labels: (...values) => metric.labels(...values),
    remove: (...values) => metric.remove(...values),
  };
}

/** Creates a registry; with `processMetrics`, it carries those of Node and the process too. */
export function createPrometheusMetrics(options: { readonly processMetrics: boolean }): PrometheusMetrics {
  const registry = new Registry();
  if (options.processMetrics) collectDefaultMetrics({ register: registry });
  const known = new Map<string, Metric>();
  const hooks: (() => void)[] = [];

  /** A metric that exists under the name, or a new one: two plugins of one type share their families. */
  const once = <T extends Metric>(name: string, make: () => T): T => {
    const existing = known.get(name);
    // One name is always asked for as one kind; prom-client refuses a second registration otherwise.
    if (existing !== undefined) return existing as T;
    const made = make();
    known.set(name, made);
    return made;
  };
  const base = (o: MetricOptions) => ({
    name: o.name,
    help: `[ALPHA] ${o.help}`,
    labelNames: [...(o.labelNames ?? [])],
    registers: [registry],
  });

  return {
    counter: (o): MetricFamily<Counter> => family(once(o.name, () => new PromCounter(base(o)))),
    gauge: (o): MetricFamily<Gauge> => family(once(o.name, () => new PromGauge(base(o)))),
    histogram: (o): MetricFamily<Histogram> =>
      family(once(o.name, () => new PromHistogram({ ...base(o), buckets: [...o.buckets] }))),
    async page() {
      for (const hook of hooks) hook();
      return registry.metrics();
    },
    contentType: registry.contentType,
    beforePage: (run) => {
      hooks.push(run);
    },
  };
}
