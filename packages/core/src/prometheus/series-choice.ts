import type { MetricSample } from "./metric-sample.ts";
import type { MetricSpec } from "./metric-spec.ts";
import type { MetricsPage } from "./metrics-page.ts";

/**
 * How several series become one number.
 * `sum`, `mean`: undefined when any value is NaN, since the total is not known then.
 * `max`: the largest value; NaN counts only when there is nothing else, and gives undefined.
 * `latest`: the value of the series with the largest timestamp, see `latestSample`; may be NaN.
 * `largestValue`: the value of `largestValueSample`; the same number as `max`.
 */
export type Reduction = "sum" | "mean" | "max" | "latest" | "largestValue";

/**
 * The series of the page that match the spec, in text order; empty when there are none.
 * Cost: no allocation for a spec without labels, else one array.
 */
export function matchingSamples(page: MetricsPage, spec: MetricSpec): readonly MetricSample[] {
  const samples = page.family(spec.name)?.samples ?? [];
  return spec.labels.length === 0 ? samples : samples.filter((sample) => sample.matches(spec));
}

/** Reduces series to one number. Undefined without series, and where `Reduction` says so. */
export function reduceSamples(samples: readonly MetricSample[], reduction: Reduction): number | undefined {
  switch (reduction) {
    case "sum":
      return sumOf(samples);
    case "mean": {
      const sum = sumOf(samples);
      return sum === undefined ? undefined : sum / samples.length;
    }
    case "max":
    case "largestValue":
      return largestValueSample(samples)?.value;
    case "latest":
      return latestSample(samples)?.value;
  }
}

/** Undefined without samples or with a NaN among the values or as their sum (infinities of both signs). */
function sumOf(samples: readonly MetricSample[]): number | undefined {
  if (samples.length === 0) return undefined;
  let sum = 0;
  for (const sample of samples) sum += sample.value;
  return Number.isNaN(sum) ? undefined : sum;
}

/** The series with the largest explicit timestamp, none counting as 0; the first of equals. Undefined without series. */
export function latestSample(samples: readonly MetricSample[]): MetricSample | undefined {
  let latest = samples[0];
  for (const sample of samples) {
    if (latest === undefined || (sample.timestampMs ?? 0) > (latest.timestampMs ?? 0)) latest = sample;
  }
  return latest;
}

/** The series with the largest value, NaN passed over; the first of equals. Undefined without such a series. */
export function largestValueSample(samples: readonly MetricSample[]): MetricSample | undefined {
  let largest: MetricSample | undefined;
  for (const sample of samples) {
    if (Number.isNaN(sample.value)) continue;
    if (largest === undefined || sample.value > largest.value) largest = sample;
  }
  return largest;
}

/**
 * Series by the value of one label, in text order; those without the label stand under undefined.
 * With `engine` and `sum`, for instance, the waiting requests of each engine of a data-parallel server.
 */
export function groupByLabel(
  samples: readonly MetricSample[],
  labelName: string,
): Map<string | undefined, MetricSample[]> {
  const groups = new Map<string | undefined, MetricSample[]>();
  for (const sample of samples) {
    const value = sample.label(labelName);
    const group = groups.get(value);
    if (group === undefined) groups.set(value, [sample]);
    else group.push(sample);
  }
  return groups;
}
