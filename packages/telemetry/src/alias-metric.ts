import type { PageMetric } from "./metric-family.ts";

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

/** What an alias reads. */
export interface AliasedMetric {
  readonly type: PageMetric["type"];
  summedSeries(name: string, labels: readonly (readonly [shown: string, own: string])[]): Iterable<string>;
}

/**
 * Shows a metric under another name with some of its labels: series that differ only in the others are added up. It
 * costs nothing until the page is read.
 */
export class AliasMetric implements PageMetric {
  readonly name: string;
  readonly help: string;
  readonly type: PageMetric["type"];
  readonly #metric: AliasedMetric;
  readonly #labels: readonly (readonly [shown: string, own: string])[];

  constructor(alias: MetricAlias, metric: AliasedMetric) {
    this.name = alias.name;
    this.help = `[ALPHA] [Deprecated: Use ${alias.of}] The same by another name.`;
    this.type = metric.type;
    this.#metric = metric;
    this.#labels = alias.labels.map((label) => {
      const [shown = label, own = shown] = label.split("=");
      return [shown, own];
    });
  }

  series(): Iterable<string> {
    return this.#metric.summedSeries(this.name, this.#labels);
  }
}
