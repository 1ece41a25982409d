import type { MetricFamily, MetricOptions, MetricsRegistry } from "@pointsman/core";

interface Recorder {
  inc(amount?: number): void;
  dec(amount?: number): void;
  set(value: number): void;
  observe(value: number): void;
}

/** A registry that keeps every series: a number for counters and gauges, a list for histograms. */
export class RecordedSeries implements MetricsRegistry {
  readonly #series = new Map<string, number | number[]>();
  readonly counter: MetricsRegistry["counter"] = (options) => this.#family(options);
  readonly gauge: MetricsRegistry["gauge"] = (options) => this.#family(options);
  readonly histogram: MetricsRegistry["histogram"] = (options) => this.#family(options);

  /** Series that were written and not removed, as `name{label values}`. */
  get series(): Readonly<Record<string, number | readonly number[]>> {
    return Object.fromEntries(this.#series);
  }

  #family({ name, labelNames = [] }: MetricOptions): MetricFamily<Recorder> {
    const idOf = (values: readonly string[]): string => {
      if (values.length !== labelNames.length) throw new Error(`${name} takes ${labelNames.length} label values`);
      return `${name}{${values.join(",")}}`;
    };
    return {
      labels: (...values) => {
        const id = idOf(values);
        const add = (amount: number): void => {
          const before = this.#series.get(id);
          this.#series.set(id, (typeof before === "number" ? before : 0) + amount);
        };
        return {
          inc: (by = 1) => add(by),
          dec: (by = 1) => add(-by),
          set: (value) => this.#series.set(id, value),
          observe: (value) => {
            const before = this.#series.get(id);
            this.#series.set(id, [...(Array.isArray(before) ? before : []), value]);
          },
        };
      },
      remove: (...values) => {
        this.#series.delete(idOf(values));
      },
    };
  }
}
