import type { PageMetric, PageValue } from "./metric-family.ts";

/** A second name of a metric. */
export interface MetricAlias {
  readonly name: string;
  /** The metric that it shows. */
  readonly of: string;
  /** Labels in page order, each as its name or as `shown=own` where the metric calls it otherwise. */
  readonly labels: readonly string[];
  /** Shown once this metric exists, too. */
  readonly onlyWith?: string;
}

/** What an alias reads: a metric of prom-client's registry. */
export interface AliasedMetric {
  readonly type: PageMetric["type"];
  get(): Promise<PageMetric>;
}

/**
 * Shows a metric under another name with some of its labels: series that differ only in the others are added up. It
 * costs nothing until the page is read.
 */
export class AliasMetric {
  readonly name: string;
  readonly help: string;
  readonly #alias: MetricAlias;
  readonly #metric: AliasedMetric;
  readonly #labels: readonly (readonly [shown: string, own: string])[];

  constructor(alias: MetricAlias, metric: AliasedMetric) {
    this.name = alias.name;
    this.help = `[ALPHA] [Deprecated: Use ${alias.of}] The same by another name.`;
    this.#alias = alias;
    this.#metric = metric;
    this.#labels = alias.labels.map((label) => {
      const [shown = label, own = shown] = label.split("=");
      return [shown, own];
    });
  }

  /** For prom-client's registry. */
  async get(): Promise<PageMetric> {
    const { type, values } = await this.#metric.get();
    const sums = new Map<string, PageValue & { value: number }>();
    for (const { metricName = this.#alias.of, labels, sharedLabels, value } of values) {
      // Histograms have their buckets' bound in `labels` and the series in `sharedLabels`.
      const series = sharedLabels ?? labels;
      const shown = this.#labels.map(([name, own]): [string, string] => [name, String(series[own] ?? "")]);
      const ownLine = sharedLabels === undefined ? {} : labels;
      const key = JSON.stringify([metricName, ownLine, shown]);
      const sum = sums.get(key);
      if (sum !== undefined) sum.value += value;
      else {
        sums.set(key, {
          metricName: `${this.name}${metricName.slice(this.#alias.of.length)}`,
          labels: ownLine,
          sharedLabels: Object.fromEntries(shown),
          value,
        });
      }
    }
    return { name: this.name, help: this.help, type, values: [...sums.values()] };
  }
}
