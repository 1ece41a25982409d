import type { MetricSample } from "./metric-sample.ts";
import type { PageFormat } from "./sample-line.ts";

/** Types of families in both formats, lower case; `unknown` of OpenMetrics reads as `untyped`. */
export type MetricType =
  | "counter"
  | "gauge"
  | "gaugehistogram"
  | "histogram"
  | "info"
  | "stateset"
  | "summary"
  | "untyped";

const typeWords: ReadonlyMap<string, MetricType> = new Map<string, MetricType>([
  ["counter", "counter"],
  ["gauge", "gauge"],
  ["gaugehistogram", "gaugehistogram"],
  ["gauge_histogram", "gaugehistogram"],
  ["histogram", "histogram"],
  ["info", "info"],
  ["stateset", "stateset"],
  ["summary", "summary"],
  ["unknown", "untyped"],
  ["untyped", "untyped"],
]);

/** The type a TYPE line states, in any case. Undefined for other words. */
export function metricType(word: string): MetricType | undefined {
  return typeWords.get(word.toLowerCase());
}

/** What one page states under one wanted name. */
export interface SampleFamily {
  readonly name: string;
  /** Undefined when no TYPE line names the family. Samples count either way. */
  readonly type: MetricType | undefined;
  /** In text order, one per label set; empty when the page has none. */
  readonly samples: readonly MetricSample[];
}

/** A line of a wanted family that could not be used, or the line where reading stopped at a limit. */
export interface PageProblem {
  /** Counted from 1. */
  readonly line: number;
  /** What is wrong, after the name of the family; at most 300 characters more than the name, control characters escaped. */
  readonly what: string;
}

/** What a query found on one page. Independent of the page's bytes and of later scans. */
export interface MetricsPage {
  /** Why the bytes are not a metrics page; then all families are empty. Undefined for a metrics page. */
  readonly garbage: string | undefined;
  readonly format: PageFormat;
  /** One for each name of the query, in its order. */
  readonly families: readonly SampleFamily[];
  /** In text order, the first 16. */
  readonly problems: readonly PageProblem[];
  /** All problems, including those beyond the first 16. */
  readonly problemCount: number;
  /** The family of a wanted name. Undefined for names the query does not want. */
  family(name: string): SampleFamily | undefined;
}
