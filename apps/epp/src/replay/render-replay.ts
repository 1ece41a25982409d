import type { ReplayOutcome, ServedRequest } from "@pointsman/replay";

/** What a replay was made with. */
export interface ReplaySetting {
  readonly workload: string;
  readonly requests: number;
  readonly servers: number;
  readonly rateScale: number;
  readonly seed: number;
}

/** Where two configurations differ. */
export interface ReplayComparison {
  readonly first: string;
  readonly second: string;
  /** Share of the requests that both sent to the same server. */
  readonly sameServer: number;
  /** By length of the prompt. */
  readonly byPromptTokens: readonly {
    readonly upToTokens: number;
    readonly requests: number;
    /** Mean time to first token, milliseconds. */
    readonly firstTtftMs: number;
    readonly secondTtftMs: number;
    readonly firstHitRate: number;
    readonly secondHitRate: number;
  }[];
  /** Requests whose time to first token differs most, largest difference first. */
  readonly largest: readonly {
    readonly request: number;
    readonly promptTokens: number;
    readonly first: RequestView;
    readonly second: RequestView;
  }[];
}

interface RequestView {
  readonly server: number | undefined;
  readonly ttftMs: number;
  readonly cachedTokens: number;
}

const promptSizes = [1000, 4000, 16_000, 64_000, Number.POSITIVE_INFINITY] as const;
const shownRequests = 10;

/** Compares what became of each request under two configurations. Requests that one of them did not serve are left out. */
export function compareReplays(first: ReplayOutcome, second: ReplayOutcome): ReplayComparison {
  const other = new Map(second.served.map((each) => [each.request.index, each]));
  const pairs = first.served.flatMap((a) => {
    const b = other.get(a.request.index);
    return b === undefined || Number.isNaN(a.finishedMs) || Number.isNaN(b.finishedMs) ? [] : [{ a, b }];
  });
  const byPromptTokens = promptSizes.flatMap((upToTokens, i) => {
    const from = promptSizes[i - 1] ?? 0;
    const inside = pairs.filter(({ a }) => a.request.promptTokens > from && a.request.promptTokens <= upToTokens);
    if (inside.length === 0) return [];
    const tokens = inside.reduce((sum, { a }) => sum + a.request.promptTokens, 0);
    const mean = (of: (pair: (typeof pairs)[number]) => number): number =>
      inside.reduce((sum, pair) => sum + of(pair), 0) / inside.length;
    return [
      {
        upToTokens,
        requests: inside.length,
        firstTtftMs: mean(({ a }) => ttftMs(a)),
        secondTtftMs: mean(({ b }) => ttftMs(b)),
        firstHitRate: (mean(({ a }) => a.cachedTokens) * inside.length) / tokens,
        secondHitRate: (mean(({ b }) => b.cachedTokens) * inside.length) / tokens,
      },
    ];
  });
  return {
    first: first.policy,
    second: second.policy,
    sameServer: pairs.filter(({ a, b }) => a.server === b.server).length / Math.max(1, pairs.length),
    byPromptTokens,
    largest: pairs
      .toSorted((x, y) => Math.abs(ttftMs(y.a) - ttftMs(y.b)) - Math.abs(ttftMs(x.a) - ttftMs(x.b)))
      .slice(0, shownRequests)
      .map(({ a, b }) => ({
        request: a.request.index,
        promptTokens: a.request.promptTokens,
        first: viewOf(a),
        second: viewOf(b),
      })),
  };
}

function ttftMs(served: ServedRequest): number {
  return served.firstTokenMs - served.arrivalMs;
}

function viewOf(served: ServedRequest): RequestView {
  return { server: served.server, ttftMs: ttftMs(served), cachedTokens: served.cachedTokens };
}

/** A table of outcomes, one row per policy. */
export function renderOutcomes(setting: ReplaySetting, outcomes: readonly ReplayOutcome[]): string {
  const { workload, requests, servers, rateScale, seed } = setting;
  const rows = outcomes.map((each) => [
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
  ]);
  const lines = [
    `${workload}, ${requests} requests, ${servers} servers, rate scale ${rateScale.toFixed(3)}, seed ${seed}; simulated time`,
    "",
    table(
      [
        "policy",
        "TTFT ms",
        "p50",
        "p90",
        "p99",
        "E2E s",
        "TPOT ms",
        "hit %",
        "imbalance",
        "busy",
        "decision ms",
        "errors",
      ],
      rows,
    ),
  ];
  for (const { policy, problems } of outcomes) {
    for (const [problem, count] of problems) lines.push(`${policy}: ${count} x ${problem}`);
  }
  return lines.join("\n");
}

/** Where two configurations differ, for people. */
export function renderComparison(comparison: ReplayComparison): string {
  const { first, second, sameServer, byPromptTokens, largest } = comparison;
  const sizes = byPromptTokens.map((each) => [
    Number.isFinite(each.upToTokens) ? `up to ${each.upToTokens}` : "more",
    String(each.requests),
    each.firstTtftMs.toFixed(0),
    each.secondTtftMs.toFixed(0),
    (each.firstHitRate * 100).toFixed(1),
    (each.secondHitRate * 100).toFixed(1),
  ]);
  const requests = largest.map((each) => [
    String(each.request),
    String(each.promptTokens),
    `${each.first.server}`,
    `${each.second.server}`,
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
    "",
    "largest differences in time to first token:",
    table(["request", "prompt tokens", "server A", "B", "TTFT ms A", "B", "cached A", "B"], requests),
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
