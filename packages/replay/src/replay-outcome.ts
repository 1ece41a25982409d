import { type Distribution, distribution, mean } from "./distribution.ts";
import type { ServedRequest } from "./served-request.ts";

/** What a policy achieved. Times are virtual, over the counted requests that were served. */
export interface ReplayOutcome {
  readonly policy: string;
  /** Requests counted: those between warm-up and cool-down that were served. */
  readonly counted: number;
  /** Time to first token, milliseconds. */
  readonly ttftMs: Distribution;
  /** Arrival to last token, milliseconds. */
  readonly endToEndMs: Distribution;
  /** Between output tokens after the first, milliseconds. */
  readonly tpotMs: Distribution;
  /** From arrival to the first step of the prompt, milliseconds. */
  readonly queueMs: Distribution;
  /** Share of the output tokens asked for while requests were counted that were generated in that time. */
  readonly outputKeptUp: number;
  /** Share of prompt tokens found in the cache of the server that was chosen. */
  readonly hitRate: number;
  /** Requests of each server, all of them. */
  readonly requestsPerServer: readonly number[];
  /** Standard deviation over mean of the number of requests at each server, averaged over the time that is counted. */
  readonly imbalance: number;
  /** Mean share of the time that servers computed, up to the last answer. */
  readonly utilization: number;
  /** Wall milliseconds per decision; `undefined` for policies of the replay itself. */
  readonly decisionMs: Distribution | undefined;
  /** Requests that were not served, by reason; all requests count. */
  readonly problems: ReadonlyMap<string, number>;
  /** What a picker's plugins could not do, by plugin name: the first problem of each. Requests went on without it. */
  readonly pluginProblems: ReadonlyMap<string, string>;
  /** All requests that came, in order of arrival. */
  readonly served: readonly ServedRequest[];
}

/** What {@link summarize} reads. */
export interface ReplayedRequests {
  readonly policy: string;
  /** Number of the workload's requests. */
  readonly requests: number;
  /** Those that came, in order of arrival. */
  readonly served: readonly ServedRequest[];
  /** Time that each server computed. */
  readonly busyMs: readonly number[];
  readonly imbalance: number;
  readonly pluginProblems: ReadonlyMap<string, string>;
}

/** Sums a replay up. */
export function summarize(replayed: ReplayedRequests): ReplayOutcome {
  const { policy, requests, served, busyMs, imbalance, pluginProblems } = replayed;
  const counted = served.filter((each) => each.counted && !Number.isNaN(each.finishedMs));
  const problems = new Map<string, number>();
  const requestsPerServer = busyMs.map(() => 0);
  let endMs = 0;
  for (const each of served) {
    if (each.server !== undefined) requestsPerServer[each.server]!++;
    if (Number.isNaN(each.finishedMs)) {
      const problem = each.problem ?? "not served in time";
      problems.set(problem, (problems.get(problem) ?? 0) + 1);
    } else endMs = Math.max(endMs, each.finishedMs);
  }
  if (served.length < requests) problems.set("follows an answer, and did not come in time", requests - served.length);
  const promptTokens = counted.reduce((sum, { request }) => sum + request.promptTokens, 0);
  const cachedTokens = counted.reduce((sum, each) => sum + each.cachedTokens, 0);
  const decisions = served.flatMap(({ decisionMs }) => (decisionMs === undefined ? [] : [decisionMs]));
  return {
    policy,
    counted: counted.length,
    ttftMs: distribution(counted.map((each) => each.firstTokenMs - each.arrivalMs)),
    endToEndMs: distribution(counted.map((each) => each.finishedMs - each.arrivalMs)),
    tpotMs: distribution(
      counted.flatMap((each) => {
        const { tokens } = each.request.output;
        return tokens > 1 ? [(each.finishedMs - each.firstTokenMs) / (tokens - 1)] : [];
      }),
    ),
    queueMs: distribution(counted.map((each) => each.admittedMs - each.arrivalMs)),
    outputKeptUp: outputKeptUp(served),
    hitRate: promptTokens === 0 ? 0 : cachedTokens / promptTokens,
    requestsPerServer,
    imbalance,
    utilization: endMs === 0 ? 0 : mean(busyMs) / endMs,
    decisionMs: decisions.length === 0 ? undefined : distribution(decisions),
    problems,
    pluginProblems,
    served,
  };
}

/** Compares what was generated between the first and the last counted arrival with what was asked for in that time. */
function outputKeptUp(served: readonly ServedRequest[]): number {
  const startMs = served.find(({ counted }) => counted)?.arrivalMs ?? 0;
  const endMs = served.findLast(({ counted }) => counted)?.arrivalMs ?? 0;
  let asked = 0;
  let generated = 0;
  for (const { request, problem, firstTokenMs, finishedMs, counted } of served) {
    // What was refused keeps no server busy.
    if (counted && problem === undefined) asked += request.output.tokens;
    if (Number.isNaN(finishedMs)) continue;
    if (firstTokenMs === finishedMs) {
      if (finishedMs >= startMs && finishedMs <= endMs) generated += request.output.tokens;
      continue;
    }
    const overlapMs = Math.min(finishedMs, endMs) - Math.max(firstTokenMs, startMs);
    if (overlapMs > 0) generated += (request.output.tokens * overlapMs) / (finishedMs - firstTokenMs);
  }
  return asked === 0 ? 1 : generated / asked;
}
