import type { CombinedOutcome, ReplayOutcome } from "@pointsman/replay";
import type { ReplayReport } from "./run-replays.ts";

/** A report as JSON for scripts. Times are virtual milliseconds, shares are 0 to 1. */
export function replayJson(report: ReplayReport): string {
  const { troubles, loads, ...rest } = report;
  return JSON.stringify(
    {
      ...rest,
      troubles: Object.fromEntries(troubles),
      loads: loads.map(({ outcomes, ...load }) => ({
        ...load,
        outcomes: outcomes.map(({ combined, runs }) => ({ ...plain(combined), runs: runs.map(plain) })),
      })),
    },
    null,
    2,
  );
}

function plain<T extends Pick<CombinedOutcome | ReplayOutcome, "problems" | "pluginProblems">>(outcome: T): object {
  const { problems, pluginProblems } = outcome;
  return {
    ...outcome,
    problems: Object.fromEntries(problems),
    pluginProblems: Object.fromEntries(pluginProblems),
  };
}
