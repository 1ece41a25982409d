import type { ChildProcesses } from "./child-processes.ts";

/** What a case runs with. */
export interface BenchRun {
  /** Short measurements, to see that everything works. */
  readonly quick: boolean;
  /** Starts what a case needs. Whatever is left running when the case ends is stopped. */
  readonly children: ChildProcesses;
  /** A folder for files of this run. */
  readonly directory: string;
  /** Says what is being done. */
  progress(text: string): void;
}

/** One case: starts its processes, measures, and gives rows for the table. */
export interface BenchCase {
  /** `area/case`. */
  readonly name: string;
  /** What runs, and what it is held against: the same text for all cases of an area, printed below the table once. */
  readonly about: string;
  /** What sets this case apart in its area, where the name does not say it. */
  readonly detail?: string;
  run(bench: BenchRun): Promise<readonly Row[]>;
}

/** A measured quantity. */
export interface Figure {
  readonly case: string;
  /** What was measured, with its unit. */
  readonly quantity: string;
  /** Median of the rounds. */
  readonly pointsman: number;
  /** Median of the rounds of what Pointsman is held against; `undefined` where there is nothing to hold it against. */
  readonly reference: { readonly what: string; readonly value: number } | undefined;
  /** `pointsman` by `reference`. */
  readonly ratio: number | undefined;
  /** The values behind the medians, in the order in which they were taken. */
  readonly rounds: { readonly pointsman: readonly number[]; readonly reference: readonly number[] };
  readonly note: string;
}

/** What the case could not give, and why. */
export interface Gap {
  readonly case: string;
  readonly quantity: string;
  readonly kind: "not measured" | "failed";
  readonly why: string;
}

export type Row = Figure | Gap;

export function isGap(row: Row): row is Gap {
  return "why" in row;
}
