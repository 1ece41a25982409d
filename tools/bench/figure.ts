import type { Figure } from "./bench-case.ts";

/** The middle value; the mean of the two middle ones for an even count. NaN for none. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const upper = sorted[sorted.length >> 1] ?? Number.NaN;
  const lower = sorted[(sorted.length - 1) >> 1] ?? Number.NaN;
  return (lower + upper) / 2;
}

/** Makes a row out of the values of all rounds. */
export function figure(options: {
  readonly case: string;
  readonly quantity: string;
  readonly pointsman: readonly number[];
  readonly reference?: { readonly what: string; readonly values: readonly number[] };
  readonly note?: string;
}): Figure {
  const pointsman = median(options.pointsman);
  const { reference } = options;
  const value = reference === undefined ? undefined : median(reference.values);
  return {
    case: options.case,
    quantity: options.quantity,
    pointsman,
    reference: reference === undefined || value === undefined ? undefined : { what: reference.what, value },
    ratio: value === undefined || value === 0 ? undefined : pointsman / value,
    rounds: { pointsman: options.pointsman, reference: reference?.values ?? [] },
    note: options.note ?? "",
  };
}
