import { type Distribution, median } from "./distribution.ts";
import type { ReplayOutcome } from "./replay-outcome.ts";

type Run = Omit<ReplayOutcome, "served">;

/** Smallest and largest of a figure over several replays. */
export interface Spread {
  readonly min: number;
  readonly max: number;
}

/** Several replays of one policy as one row: the median of each figure. */
export interface CombinedOutcome extends Omit<ReplayOutcome, "served" | "requestsPerServer"> {
  readonly replays: number;
  readonly spread: { readonly ttftMeanMs: Spread; readonly endToEndMeanMs: Spread; readonly hitRate: Spread };
}

/**
 * Combines replays of one policy with different seeds. At least one is needed. Problems are added up; of each plugin's, the
 * first is kept.
 */
export function combineOutcomes(runs: readonly Run[]): CombinedOutcome {
  const middle = (of: (run: Run) => number): number => median(runs.map(of));
  const each = (of: (run: Run) => Distribution): Distribution => ({
    mean: middle((run) => of(run).mean),
    p50: middle((run) => of(run).p50),
    p90: middle((run) => of(run).p90),
    p99: middle((run) => of(run).p99),
  });
  const spread = (of: (run: Run) => number): Spread => {
    const values = runs.map(of);
    return { min: Math.min(...values), max: Math.max(...values) };
  };
  const problems = new Map<string, number>();
  for (const run of runs) {
    for (const [problem, count] of run.problems) problems.set(problem, (problems.get(problem) ?? 0) + count);
  }
  const pluginProblems = new Map(runs.toReversed().flatMap((run) => [...run.pluginProblems]));
  const decided = runs.flatMap(({ decisionMs }) => (decisionMs === undefined ? [] : [decisionMs]));
  return {
    policy: runs[0]!.policy,
    replays: runs.length,
    counted: middle((run) => run.counted),
    ttftMs: each((run) => run.ttftMs),
    endToEndMs: each((run) => run.endToEndMs),
    tpotMs: each((run) => run.tpotMs),
    queueMs: each((run) => run.queueMs),
    outputKeptUp: middle((run) => run.outputKeptUp),
    hitRate: middle((run) => run.hitRate),
    imbalance: middle((run) => run.imbalance),
    utilization: middle((run) => run.utilization),
    decisionMs: decided.length < runs.length ? undefined : each((run) => run.decisionMs!),
    problems,
    pluginProblems,
    spread: {
      ttftMeanMs: spread((run) => run.ttftMs.mean),
      endToEndMeanMs: spread((run) => run.endToEndMs.mean),
      hitRate: spread((run) => run.hitRate),
    },
  };
}
