import { type BenchCase, type Gap, isGap, type Row } from "./bench-case.ts";
import type { Machine } from "./machine.ts";

/** Everything a run found. */
export interface Report {
  readonly command: string;
  readonly startedAt: string;
  readonly commit: string;
  readonly machine: Machine;
  readonly quick: boolean;
  readonly rows: readonly Row[];
  /** Commands that run the benches of single packages. */
  readonly microBenches: readonly string[];
}

/** The report as text: where it was taken, the table, what each case does. */
export function renderReport(report: Report, cases: readonly BenchCase[]): string {
  const { machine } = report;
  const load = machine.loadAverage.map((value) => value.toFixed(2)).join(" ");
  return [
    `command   ${report.command}${report.quick ? "   (--quick: too short to quote)" : ""}`,
    `commit    ${report.commit}`,
    `machine   ${machine.cores} cores, ${machine.cpuModel}, ${machine.memoryGib.toFixed(1)} GiB, ${machine.system}`,
    `node      ${machine.node}`,
    `started   ${report.startedAt}, load average ${load}`,
    "",
    ...renderTable(report.rows),
    "",
    "ratio = Pointsman / reference, of medians; in brackets the lowest and highest ratio of a round.",
    ...renderCases(cases),
    "",
    "Not run here, benches of single packages:",
    ...report.microBenches.map((command) => `  ${command}`),
    "",
  ].join("\n");
}

function renderCases(cases: readonly BenchCase[]): string[] {
  const lines: string[] = [];
  let area = "";
  for (const { name, about, detail } of cases) {
    const slash = name.indexOf("/");
    if (name.slice(0, slash) !== area) {
      area = name.slice(0, slash);
      lines.push(`${area}: ${about}`);
    }
    if (detail !== undefined) lines.push(`  ${name.slice(slash + 1)}: ${detail}`);
  }
  return lines;
}

const heads = ["case", "quantity", "Pointsman", "reference", "ratio", "note"] as const;

function renderTable(rows: readonly Row[]): string[] {
  const cells = [heads, ...rows.map(rowCells)];
  const widths = heads.map((_, column) => Math.max(...cells.map((row) => row[column]!.length)));
  const line = (row: readonly string[]): string =>
    `| ${row.map((cell, column) => cell.padEnd(widths[column]!)).join(" | ")} |`;
  const rule = `| ${widths.map((width) => "-".repeat(width)).join(" | ")} |`;
  return [line(cells[0]!), rule, ...cells.slice(1).map(line)];
}

function rowCells(row: Row): readonly string[] {
  if (isGap(row)) return [row.case, row.quantity, "-", "-", "-", describeGap(row)];
  const { reference, ratio } = row;
  return [
    row.case,
    row.quantity,
    shortNumber(row.pointsman),
    reference === undefined ? "-" : `${shortNumber(reference.value)} (${reference.what})`,
    ratio === undefined ? "-" : `${ratio.toFixed(2)}${ratioRange(row.rounds)}`,
    row.note,
  ];
}

function ratioRange(rounds: { readonly pointsman: readonly number[]; readonly reference: readonly number[] }): string {
  if (rounds.pointsman.length < 2 || rounds.pointsman.length !== rounds.reference.length) return "";
  const ratios = rounds.pointsman.map((value, round) => value / rounds.reference[round]!);
  return ` [${Math.min(...ratios).toFixed(2)}-${Math.max(...ratios).toFixed(2)}]`;
}

export function describeGap(gap: Gap): string {
  return `${gap.kind}: ${gap.why}`;
}

/** Three digits that count, without an exponent. */
export function shortNumber(value: number): string {
  if (!Number.isFinite(value)) return "unknown";
  if (Math.abs(value) >= 100) return value.toFixed(0);
  return String(Number(value.toPrecision(3)));
}
