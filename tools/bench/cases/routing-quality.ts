/**
 * Pictures and tables of apps/epp/docs/routing-quality.md, from reports of `epp replay --json`:
 *
 *   node --conditions=@pointsman/source tools/bench/cases/routing-quality.ts [--out FOLDER] REPORT.json...
 *
 * A report with several loads becomes FOLDER/routing-quality-<workload>.svg (default apps/epp/docs/images) and a short
 * table; of each report, a table with all figures is printed.
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { root } from "../../workspace-packages.ts";
import { type Panel, picture } from "./routing-quality-picture.ts";

/** What is read of a report. */
export interface QualityReport {
  readonly workload: string;
  readonly requests: number;
  readonly servers: number;
  readonly replicas: number;
  readonly seeds: readonly number[];
  readonly loads: readonly { readonly load: number; readonly outcomes: readonly QualityOutcome[] }[];
}

export interface QualityOutcome {
  readonly policy: string;
  readonly ttftMs: { readonly mean: number; readonly p50: number; readonly p90: number };
  readonly endToEndMs: { readonly mean: number };
  readonly hitRate: number;
  readonly imbalance: number;
  readonly problems: Readonly<Record<string, number>>;
  readonly spread: Readonly<Record<"ttftMeanMs" | "endToEndMeanMs", { readonly min: number; readonly max: number }>>;
}

/** Colours that also those tell apart who see few: Okabe and Ito's. */
const colors: Readonly<Record<string, string>> = {
  random: "#999999",
  "round-robin": "#666666",
  "least-in-flight": "#e69f00",
  "prefix-hash": "#56b4e9",
  "optimized-baseline": "#d55e00",
  oracle: "#009e73",
  "oracle-e2e": "#0072b2",
  "expected-latency": "#cc0f6f",
};

/** A configuration is called as its file. */
export function policyName(policy: string): string {
  return basename(policy).replace(/\.ya?ml$/, "");
}

/** Reads a report; throws with the file's name when it is none with loads. */
export function readReport(text: string, file: string): QualityReport {
  // Only this project's own command writes such files; what is drawn of them is checked when it is drawn.
  const report = JSON.parse(text) as Partial<QualityReport>;
  if (!Array.isArray(report.loads) || report.loads.some(({ load }) => typeof load !== "number")) {
    throw new Error(`${file} is no report of \`epp replay --load=... --json\``);
  }
  return report as QualityReport;
}

/** Time to first token and end-to-end latency against the load. */
export function qualityPicture(report: QualityReport): string {
  const names = report.loads[0]?.outcomes.map(({ policy }) => policy) ?? [];
  const panel = (title: string, of: (outcome: QualityOutcome) => number): Panel => ({
    title,
    xTitle: "offered load, share of capacity",
    series: names.map((policy, which) => ({
      name: policyName(policy),
      color: colors[policyName(policy)] ?? "#000000",
      dashed: policy.startsWith("oracle"),
      points: report.loads.map(({ load, outcomes }) => [load, of(outcomes[which]!)] as const),
    })),
  });
  return picture(`${report.workload}: ${report.requests} requests, ${report.servers} servers`, [
    panel("mean time to first token, ms", ({ ttftMs }) => ttftMs.mean),
    panel("90th percentile of time to first token, ms", ({ ttftMs }) => ttftMs.p90),
    panel("mean end-to-end latency, s", ({ endToEndMs }) => endToEndMs.mean / 1000),
  ]);
}

/** A row for each policy, a column for each load: mean and 90th percentile of TTFT in ms, mean end-to-end latency in s. */
export function qualityGrid(report: QualityReport): string {
  const names = report.loads[0]?.outcomes.map(({ policy }) => policy) ?? [];
  const rows = names.map((policy, which) => [
    policyName(policy),
    ...report.loads.map(({ outcomes }) => {
      const { ttftMs, endToEndMs } = outcomes[which]!;
      return `${ttftMs.mean.toFixed(0)} / ${ttftMs.p90.toFixed(0)} / ${(endToEndMs.mean / 1000).toFixed(2)}`;
    }),
  ]);
  return markdown(["policy", ...report.loads.map(({ load }) => `load ${load}`)], rows);
}

/** All figures as Markdown, with the spread over the seeds. */
export function qualityTable(report: QualityReport): string {
  const heads = ["load", "policy", "TTFT ms mean", "p50", "p90", "E2E s mean", "hit %", "imbalance"];
  const between = (low: number, high: number, digits: number): string =>
    `${low.toFixed(digits)}-${high.toFixed(digits)}`;
  const withSpread = report.seeds.length > 1;
  const rows = report.loads.flatMap(({ load, outcomes }) =>
    outcomes.map(({ policy, ttftMs, endToEndMs, hitRate, imbalance, spread, problems }) => {
      const { ttftMeanMs: ttft, endToEndMeanMs: endToEnd } = spread;
      const failed = Object.values(problems).reduce((sum, count) => sum + count, 0);
      return [
        String(load),
        policyName(policy) + (failed === 0 ? "" : ` (${failed} not served)`),
        ttftMs.mean.toFixed(0) + (withSpread ? ` (${between(ttft.min, ttft.max, 0)})` : ""),
        ttftMs.p50.toFixed(0),
        ttftMs.p90.toFixed(0),
        (endToEndMs.mean / 1000).toFixed(2) +
          (withSpread ? ` (${between(endToEnd.min / 1000, endToEnd.max / 1000, 2)})` : ""),
        (hitRate * 100).toFixed(1),
        imbalance.toFixed(2),
      ];
    }),
  );
  return markdown(heads, rows);
}

/** Text to the left, figures to the right. */
function markdown(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
  const rule = heads.map((head) => (head === "policy" ? "---" : "---:"));
  return [heads, rule, ...rows].map(line).join("\n");
}

function main(): number {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { out: { type: "string", default: join(root, "apps/epp/docs/images") } },
  });
  if (positionals.length === 0) {
    console.error("routing-quality: give reports of `epp replay --load=... --json`");
    return 2;
  }
  mkdirSync(values.out, { recursive: true });
  for (const file of positionals) {
    const report = readReport(readFileSync(file, "utf8"), file);
    console.log(`${basename(file)}\n\n${qualityTable(report)}\n`);
    if (report.loads.length > 1) {
      console.log(`${qualityGrid(report)}\n`);
      writeFileSync(join(values.out, `routing-quality-${report.workload}.svg`), qualityPicture(report));
    }
  }
  return 0;
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) process.exitCode = main();
