import { type Gauge, type MetricFamily, type MetricOptions, type MetricsRegistry, noMetrics } from "@pointsman/core";

/** A registry that keeps the gauges' series. */
export class RecordedGauges implements MetricsRegistry {
  readonly #series = new Map<string, number>();
  readonly counter: MetricsRegistry["counter"] = noMetrics.counter;
  readonly histogram: MetricsRegistry["histogram"] = noMetrics.histogram;

  gauge({ name, labelNames = [] }: MetricOptions): MetricFamily<Gauge> {
    const idOf = (values: readonly string[]): string => {
      if (values.length !== labelNames.length) throw new Error(`${name} takes ${labelNames.length} label values`);
      return `${name}{${labelNames.map((label, i) => `${label}=${values[i]}`).join(",")}}`;
    };
    return {
      labels: (...values) => {
        const id = idOf(values);
        const add = (amount: number): void => {
          this.#series.set(id, (this.#series.get(id) ?? 0) + amount);
        };
        return { set: (value) => this.#series.set(id, value), inc: (by = 1) => add(by), dec: (by = 1) => add(-by) };
      },
      remove: (...values) => {
        this.#series.delete(idOf(values));
      },
    };
  }

  /** Series that were written and not removed, by name and labels. */
  get series(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#series);
  }

  get count(): number {
    return this.#series.size;
  }
}
