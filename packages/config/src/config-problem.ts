import { nearestName } from "@pointsman/core";
import type { Place } from "./config-node.ts";
import { type ProblemCode, type ProblemSeverity, problemCatalog } from "./problem-catalog.ts";
import { printable } from "./quote.ts";

/** Something wrong with, or noteworthy about, a configuration. */
export interface ConfigProblem {
  readonly code: ProblemCode;
  /** Errors keep the picker from starting; warnings do not. */
  readonly severity: ProblemSeverity;
  /** What is wrong, one line. */
  readonly message: string;
  /** What to do about it: nearest valid name, allowed values. One line, may be empty. */
  readonly help: string;
  readonly file: string;
  /** From 1. */
  readonly line: number;
  /** From 1, in UTF-16 units. */
  readonly column: number;
  /** Way from the root, such as `plugins[0].parameters.lruSize`; empty for the document as a whole. */
  readonly path: string;
}

/** Shows a problem to people, on two lines: place, severity, code and message; then what to do and where to read more. */
export function formatProblem(problem: ConfigProblem): string {
  const { file, line, column, severity, code, message, help } = problem;
  const more = `See docs/errors.md#${code.toLowerCase()}`;
  return `${file}:${line}:${column} ${severity} ${code}  ${message}\n    ${help === "" ? more : `${help} ${more}`}`;
}

/** Problems beyond this many are counted, not kept: a report of thousands helps nobody. */
const maxProblems = 1000;

/** Characters compared with characters in search of nearest names; takes less than a second. */
const maxComparisons = 20_000_000;

/** Collects the problems of one text. */
export class ProblemList {
  readonly #file: string;
  readonly #lineStarts: number[] = [0];
  readonly #found: {
    readonly code: ProblemCode;
    readonly at: Place;
    readonly message: string;
    readonly help: string;
  }[] = [];
  #errors = 0;
  #comparisonsLeft = maxComparisons;
  #dropped = 0;

  constructor(file: string, text: string) {
    this.#file = file;
    for (let at = text.indexOf("\n"); at !== -1; at = text.indexOf("\n", at + 1)) this.#lineStarts.push(at + 1);
  }

  get hasErrors(): boolean {
    return this.#errors > 0;
  }

  /** Further problems are counted only: their help need not be worked out. */
  get isFull(): boolean {
    return this.#found.length >= maxProblems;
  }

  add(code: ProblemCode, at: Place, message: string, help: string = ""): void {
    if (problemCatalog[code].severity === "error") this.#errors++;
    if (!this.isFull) {
      this.#found.push({ code, at, message: printable(message), help: printable(help) });
    } else this.#dropped++;
  }

  /** {@link nearestName}, as long as the answer is shown and the work for all questions together stays bounded. */
  nearest(name: string, candidates: Iterable<string>): string | undefined {
    if (this.isFull) return undefined;
    const all = [...candidates];
    const comparisons = name.length * all.reduce((sum, candidate) => sum + candidate.length, 0);
    if (comparisons > this.#comparisonsLeft) return undefined;
    this.#comparisonsLeft -= comparisons;
    return nearestName(name, all);
  }

  /** All problems in file order; those at one place in the order they were found. */
  inFileOrder(): readonly ConfigProblem[] {
    const all = this.#found.toSorted((a, b) => a.at.offset - b.at.offset);
    const last = all.at(-1);
    if (this.#dropped > 0 && last !== undefined) {
      all.push({
        code: "EPP_CONFIG_TOO_MANY_PROBLEMS",
        at: { offset: last.at.offset, path: "" },
        message: `${this.#dropped} more problems are not shown.`,
        help: "Correct those above first.",
      });
    }
    return all.map(({ code, at, message, help }) => ({
      code,
      severity: problemCatalog[code].severity,
      message,
      help,
      file: this.#file,
      ...this.#position(at.offset),
      path: at.path,
    }));
  }

  #position(offset: number): { readonly line: number; readonly column: number } {
    let low = 0;
    let high = this.#lineStarts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.#lineStarts[middle]! <= offset) low = middle;
      else high = middle - 1;
    }
    return { line: low + 1, column: offset - this.#lineStarts[low]! + 1 };
  }
}
