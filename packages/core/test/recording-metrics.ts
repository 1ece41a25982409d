import type { Counter, Gauge, Histogram, MetricFamily, MetricOptions, MetricsRegistry } from "../src/metrics.ts";

/** One set of label values of a metric, with what it was told. */
export interface RecordedSeries {
  readonly labels: Readonly<Record<string, string>>;
  value: number;
  readonly observations: number[];
}

type Recorder = Counter & Gauge & Histogram;

/** A registry that keeps everything. Throws on wrong numbers of label values and on names of two kinds. */
export class RecordingMetrics implements MetricsRegistry {
  readonly #kinds = new Map<string, string>();
  readonly #series = new Map<string, Map<string, RecordedSeries>>();

  counter(options: MetricOptions): MetricFamily<Counter> {
    return this.#family("counter", options);
  }

  gauge(options: MetricOptions): MetricFamily<Gauge> {
    return this.#family("gauge", options);
  }

  histogram(options: MetricOptions & { readonly buckets: readonly number[] }): MetricFamily<Histogram> {
    for (let i = 1; i < options.buckets.length; i++) {
      if (!(options.buckets[i]! > options.buckets[i - 1]!)) throw new Error(`${options.name}: buckets must ascend`);
    }
    return this.#family("histogram", options);
  }

  /** Series of a metric that were bound so far, with at least these labels. */
  series(name: string, labels: Readonly<Record<string, string>> = {}): readonly RecordedSeries[] {
    const all = this.#series.get(name);
    if (all === undefined) throw new Error(`no metric ${name}`);
    return [...all.values()].filter((series) =>
      Object.entries(labels).every(([label, value]) => series.labels[label] === value),
    );
  }

  /** Sum of a counter or gauge over the series with these labels. */
  value(name: string, labels: Readonly<Record<string, string>> = {}): number {
    return this.series(name, labels).reduce((sum, series) => sum + series.value, 0);
  }

  /** Values that a histogram observed in the series with these labels. */
  observations(name: string, labels: Readonly<Record<string, string>> = {}): readonly number[] {
    return this.series(name, labels).flatMap((series) => series.observations);
  }

  #family(kind: string, { name, labelNames = [] }: MetricOptions): MetricFamily<Recorder> {
    if ((this.#kinds.get(name) ?? kind) !== kind) throw new Error(`${name} is declared as two kinds`);
    this.#kinds.set(name, kind);
    const family = this.#series.get(name) ?? new Map<string, RecordedSeries>();
    this.#series.set(name, family);
    return {
      labels: (...values) => {
        if (values.length !== labelNames.length) throw new Error(`${name} takes ${labelNames.length} label values`);
        const id = JSON.stringify(values);
        const series = family.get(id) ?? {
          labels: Object.fromEntries(labelNames.map((label, i) => [label, values[i]!])),
          value: 0,
          observations: [],
        };
        family.set(id, series);
        return {
          inc: (amount = 1) => {
            series.value += amount;
          },
          dec: (amount = 1) => {
            series.value -= amount;
          },
          set: (value) => {
            series.value = value;
          },
          observe: (value) => {
            series.observations.push(value);
          },
        };
      },
      remove: (...values) => {
        family.delete(JSON.stringify(values));
      },
    };
  }
}
