import type { CombinedOutcome, EngineTrouble, Spread } from "@pointsman/replay";
import type { ReplayComparison } from "./compare-replays.ts";
import type { LoadReport, ReplayReport } from "./run-replays.ts";

/** A report for people: for each rate a table of policies, and where two configurations differ. */
export function renderReplay(report: ReplayReport): string {
  return report.loads.map((load) => renderLoad(report, load)).join("\n\n");
}

function renderLoad(report: ReplayReport, { load, rateScale, outcomes, comparison }: LoadReport): string {
  const { workload, requests, servers, seeds, replicas, troubles } = report;
  const rate = `${load === undefined ? "" : `load ${load}, `}rate scale ${rateScale.toPrecision(4)}`;
  const lines = [
    `${workload}, ${requests} requests, ${servers} servers, ${rate}, ${seedText(seeds)}; simulated time`,
    ...(replicas > 1 ? [`${replicas} pickers of each configuration share the requests`] : []),
    ...[...troubles].sort(([a], [b]) => a - b).map(([server, trouble]) => troubleText(server, trouble)),
    "",
    outcomeTable(outcomes.map(({ combined }) => combined)),
  ];
  for (const { combined } of outcomes) {
    for (const [problem, count] of combined.problems) lines.push(`${combined.policy}: ${count} x ${problem}`);
    for (const [plugin, problem] of combined.pluginProblems) lines.push(`${combined.policy}: ${plugin}: ${problem}`);
  }
  if (seeds.length > 1) lines.push("", spreadTable(outcomes.map(({ combined }) => combined)));
  if (comparison !== undefined) lines.push("", renderComparison(comparison));
  return lines.join("\n");
}

function seedText(seeds: readonly number[]): string {
  return seeds.length === 1 ? `seed ${seeds[0]}` : `medians of seeds ${seeds[0]} to ${seeds.at(-1)}`;
}

function troubleText(server: number, { speed, stalls }: EngineTrouble): string {
  const parts = [
    ...(speed === undefined ? [] : [`has ${speed} times the speed`]),
    ...(stalls ?? []).map(({ atMs, forMs }) => `stalls at ${atMs / 1000} s for ${forMs / 1000} s`),
  ];
  return `server ${server} ${parts.join(", ")}`;
}

function outcomeTable(outcomes: readonly CombinedOutcome[]): string {
  return table(
    [
      ...["policy", "TTFT ms", "p50", "p90", "p99", "E2E s", "TPOT ms", "hit %", "imbalance", "busy"],
      ...["decision ms", "errors"],
    ],
    outcomes.map((each) => [
      each.policy,
      each.ttftMs.mean.toFixed(0),
      each.ttftMs.p50.toFixed(0),
      each.ttftMs.p90.toFixed(0),
      each.ttftMs.p99.toFixed(0),
      (each.endToEndMs.mean / 1000).toFixed(2),
      each.tpotMs.p50.toFixed(1),
      (each.hitRate * 100).toFixed(1),
      each.imbalance.toFixed(2),
      each.utilization.toFixed(2),
      each.decisionMs === undefined ? "-" : each.decisionMs.p50.toFixed(2),
      String([...each.problems.values()].reduce((sum, count) => sum + count, 0)),
    ]),
  );
}

function spreadTable(outcomes: readonly CombinedOutcome[]): string {
  const range = ({ min, max }: Spread, text: (value: number) => string): string => `${text(min)} to ${text(max)}`;
  return table(
    ["over the seeds", "TTFT ms", "E2E s", "hit %"],
    outcomes.map(({ policy, spread }) => [
      policy,
      range(spread.ttftMeanMs, (ms) => ms.toFixed(0)),
      range(spread.endToEndMeanMs, (ms) => (ms / 1000).toFixed(2)),
      range(spread.hitRate, (rate) => (rate * 100).toFixed(1)),
    ]),
  );
}

function renderComparison({ first, second, sameServer, byPromptTokens, largest }: ReplayComparison): string {
  const sizes = byPromptTokens.map((each) => [
    each.upToTokens === undefined ? "more" : `up to ${each.upToTokens}`,
    String(each.requests),
    each.firstTtftMs.toFixed(0),
    each.secondTtftMs.toFixed(0),
    (each.firstHitRate * 100).toFixed(1),
    (each.secondHitRate * 100).toFixed(1),
  ]);
  const requests = largest.map((each) => [
    String(each.request),
    String(each.promptTokens),
    String(each.first.server),
    String(each.second.server),
    each.first.ttftMs.toFixed(0),
    each.second.ttftMs.toFixed(0),
    String(each.first.cachedTokens),
    String(each.second.cachedTokens),
  ]);
  return [
    `A = ${first}`,
    `B = ${second}`,
    `${(sameServer * 100).toFixed(1)} % of the requests went to the same server`,
    "",
    table(["prompt tokens", "requests", "TTFT ms A", "B", "hit % A", "B"], sizes),
    ...(requests.length === 0
      ? []
      : [
          "",
          "largest differences in time to first token:",
          table(["request", "prompt tokens", "server A", "B", "TTFT ms A", "B", "cached A", "B"], requests),
        ]),
  ].join("\n");
}

/** Columns as wide as their content: the first to the left, numbers to the right. */
function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column]!.length)));
  return [head, ...rows]
    .map((row) =>
      row.map((cell, column) => (column === 0 ? cell.padEnd(widths[0]!) : cell.padStart(widths[column]!))).join("  "),
    )
    .map((line) => line.trimEnd())
    .join("\n");
}
