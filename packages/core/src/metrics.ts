/** A monotonically growing count. */
export interface Counter {
  inc(amount?: number): void;
}

/** A value that goes up and down. */
export interface Gauge {
  set(value: number): void;
  inc(amount?: number): void;
  dec(amount?: number): void;
}

/** A distribution of observed values. */
export interface Histogram {
  observe(value: number): void;
}

/** A metric with labels: `labels` binds values once, so that the hot path touches only the bound child. */
export interface MetricFamily<M> {
  /** Values in the order of the family's label names. */
  labels(...values: readonly string[]): M;
  /** Removes the series with these label values, so that departed endpoints leave nothing behind. */
  remove(...values: readonly string[]): void;
}

export interface MetricOptions {
  /** Full name with the unit as suffix (`_seconds`, `_bytes`, `_total`). */
  readonly name: string;
  readonly help: string;
  readonly labelNames?: readonly string[];
}

/** Creates metrics. Asking twice for one name returns the same family. */
export interface MetricsRegistry {
  counter(options: MetricOptions): MetricFamily<Counter>;
  gauge(options: MetricOptions): MetricFamily<Gauge>;
  /** `buckets` are upper bounds in ascending order. */
  histogram(options: MetricOptions & { readonly buckets: readonly number[] }): MetricFamily<Histogram>;
}

const nothing = { inc: () => {}, dec: () => {}, set: () => {}, observe: () => {} };
const nothingFamily = { labels: () => nothing, remove: () => {} };

/** A registry that records nothing. */
export const noMetrics: MetricsRegistry = {
  counter: () => nothingFamily,
  gauge: () => nothingFamily,
  histogram: () => nothingFamily,
};
