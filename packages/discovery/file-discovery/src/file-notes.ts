import { isScalar, LineCounter, type Node } from "yaml";
import type { FileNote } from "./endpoints-file.ts";

const maxNotes = 100;

/** Collects what is to be said about one file, with its places. */
export class FileNotes {
  readonly lines: LineCounter = new LineCounter();
  readonly #problems: FileNote[] = [];
  readonly #warnings: FileNote[] = [];
  #problemCount = 0;

  /** All problems so far, those beyond the first hundred included. */
  get problemCount(): number {
    return this.#problemCount;
  }

  /** In file order; the first hundred. */
  get problems(): readonly FileNote[] {
    return this.#problems.toSorted(byPlace);
  }

  /** In file order; the first hundred. */
  get warnings(): readonly FileNote[] {
    return this.#warnings.toSorted(byPlace);
  }

  problem(at: Node, text: string): void {
    this.problemAt(at.range?.[0] ?? 0, text);
  }

  problemAt(offset: number, text: string): void {
    this.#problemCount++;
    if (this.#problems.length < maxNotes) this.#problems.push({ ...this.placeOf(offset), text: printable(text) });
  }

  warn(at: Node, text: string): void {
    if (this.#warnings.length >= maxNotes) return;
    this.#warnings.push({ ...this.placeOf(at.range?.[0] ?? 0), text: printable(text) });
  }

  /** Line and column, both from 1. */
  placeOf(offset: number): { readonly line: number; readonly column: number } {
    const { line, col } = this.lines.linePos(offset);
    return { line: Math.max(1, line), column: Math.max(1, col) };
  }
}

function byPlace(a: FileNote, b: FileNote): number {
  return a.line - b.line || a.column - b.column;
}

function printable(text: string): string {
  return text.slice(0, 500).replace(/\p{Cc}/gu, " ");
}

/** No value, or an empty text. */
export function isEmpty(node: Node | undefined): boolean {
  return node === undefined || (isScalar(node) && (node.value === null || node.value === ""));
}

/** A text for a message: in quotes, cut to 80 characters. */
export function quoted(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}...` : text);
}
