import {
  type BuiltinPolicyName,
  type CombinedOutcome,
  combineOutcomes,
  type EngineTrouble,
  findCapacity,
  type PickerFactory,
  type ReplayOutcome,
  runReplay,
  TraceError,
  type Workload,
} from "@pointsman/replay";
import { compareReplays, type ReplayComparison } from "./compare-replays.ts";
import type { ProgressBar } from "./progress-bar.ts";
import { checkReplayConfig, replayPicker } from "./replay-picker.ts";
import type { ReplayRequest } from "./replay-request.ts";
import { replayWorkload } from "./replay-workload.ts";

/** All replays of one command. */
export interface ReplayReport {
  readonly workload: string;
  readonly requests: number;
  readonly servers: number;
  readonly troubles: ReadonlyMap<number, EngineTrouble>;
  readonly replicas: number;
  readonly seeds: readonly number[];
  /** Rate scale that the pool can just take; absent where a rate scale was given. */
  readonly capacityRateScale: number | undefined;
  readonly loads: readonly LoadReport[];
}

/** All replays at one rate. */
export interface LoadReport {
  /** Share of what the pool can take; absent where a rate scale was given. */
  readonly load: number | undefined;
  readonly rateScale: number;
  readonly outcomes: readonly PolicyReport[];
  /** Of two configurations, with the first seed. */
  readonly comparison: ReplayComparison | undefined;
}

/** All replays of one policy at one rate. */
export interface PolicyReport {
  readonly combined: CombinedOutcome;
  /** One for each seed. */
  readonly runs: readonly Omit<ReplayOutcome, "served">[];
}

interface Rate {
  readonly load: number | undefined;
  readonly rateScale: number;
}

/** Runs everything a request asks for. Throws a `TraceError` or a `ReplayConfigError` for what cannot be replayed. */
export async function runReplays(request: ReplayRequest, progress: ProgressBar): Promise<ReplayReport> {
  const { configs, policies, seed, servers, troubles, replicas, repeat, loads } = request;
  const seeds = Array.from({ length: repeat }, (_, i) => seed + i);
  const workloadOf = await replayWorkload(request);
  for (const configFile of configs) await checkReplayConfig({ ...request, configFile });
  const workload = workloadOf(seed);
  let capacityRateScale: number | undefined;
  if (request.rateScale === undefined) {
    progress.say("looking for the load the pool can take");
    capacityRateScale = await findCapacity({ workload, servers, troubles, seed });
  }
  const rates: readonly Rate[] =
    request.rateScale === undefined
      ? loads.map((load) => ({ load, rateScale: load * capacityRateScale! }))
      : [{ load: undefined, rateScale: request.rateScale }];
  for (const rate of rates) checkDuration(workload, rate);
  const reports: MutableLoadReport[] = rates.map((rate) => ({
    ...rate,
    runs: [...policies, ...configs].map(() => []),
    comparison: undefined,
  }));
  for (const each of seeds) {
    const ofSeed = each === seed ? workload : workloadOf(each);
    for (const report of reports) await replayOnce(request, each, ofSeed, report, progress);
  }
  return {
    workload: workload.name,
    requests: workload.requests.length,
    servers,
    troubles,
    replicas,
    seeds,
    capacityRateScale,
    loads: reports.map(({ runs, ...rest }) => ({
      ...rest,
      outcomes: runs.map((ofPolicy) => ({ combined: combineOutcomes(ofPolicy), runs: ofPolicy })),
    })),
  };
}

/** Pages of metrics are read all the time, so that time without requests costs time, too. */
const longestDays = 30;

/** Throws a `TraceError` when at a rate arrivals are spread over more virtual time than can be replayed. */
function checkDuration(workload: Workload, { load, rateScale }: Rate): void {
  let lastMs = 0;
  for (const { atMs } of workload.requests) lastMs = Math.max(lastMs, atMs);
  const days = lastMs / rateScale / 86_400_000;
  if (days <= longestDays) return;
  const [at, flag] =
    load === undefined
      ? [`rate scale ${rateScale}`, "--rate-scale"]
      : [`load ${load}, rate scale ${rateScale.toPrecision(4)},`, "--load"];
  throw new TraceError(
    `at ${at} the last request comes after ${Math.ceil(days)} days; a replay may have ${longestDays}. ` +
      `Give a larger ${flag} or fewer --requests`,
  );
}

interface MutableLoadReport extends Rate {
  /** By policy, then by seed. */
  readonly runs: Omit<ReplayOutcome, "served">[][];
  comparison: ReplayComparison | undefined;
}

/** Replays one seed at one rate under every policy. */
async function replayOnce(
  request: ReplayRequest,
  seed: number,
  workload: Workload,
  report: MutableLoadReport,
  progress: ProgressBar,
): Promise<void> {
  const { configs, policies, servers, troubles, replicas } = request;
  const { rateScale, load, runs } = report;
  const pickers = configs.map((configFile) => ({
    name: configFile,
    policy: replayPicker({ ...request, seed, configFile }),
  }));
  const all: readonly { readonly name: string; readonly policy: BuiltinPolicyName | PickerFactory }[] = [
    ...policies.map((policy) => ({ name: policy, policy })),
    ...pickers,
  ];
  const compared: ReplayOutcome[] = [];
  for (const [index, { name, policy }] of all.entries()) {
    const label = `${name}${load === undefined ? "" : `, load ${load}`}${request.repeat > 1 ? `, seed ${seed}` : ""}`;
    const outcome = await runReplay(policy, {
      ...{ workload, rateScale, servers, troubles, replicas, seed },
      onProgress: (done, of) => progress.show(label, done, of),
    });
    const { served: _, ...figures } = outcome;
    runs[index]!.push(figures);
    if (typeof policy !== "string" && seed === request.seed) compared.push(outcome);
  }
  const [first, second, third] = compared;
  if (first !== undefined && second !== undefined && third === undefined) {
    report.comparison = compareReplays(first, second);
  }
}
