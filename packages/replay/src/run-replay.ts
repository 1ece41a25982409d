import type { Logger } from "@pointsman/core";
import { defaultEngineModel, type EngineModel } from "./engine/engine-model.ts";
import { type EngineTrouble, type Sequence, SimulatedEngine } from "./engine/simulated-engine.ts";
import { ImbalanceMeter } from "./imbalance-meter.ts";
import { PluginProblems } from "./plugin-problems.ts";
import { type BuiltinPolicyName, builtinPolicy } from "./policies/builtin-policies.ts";
import { type AnswerDelays, PickerPolicy, type ReplayedPicker, type ReportedUsage } from "./policies/picker-policy.ts";
import { ReplicatedPolicy } from "./policies/replicated-policy.ts";
import type { RoutingPolicy } from "./policies/routing-policy.ts";
import { type ReplayOutcome, summarize } from "./replay-outcome.ts";
import { SeededRandom } from "./seeded-random.ts";
import type { ServedRequest } from "./served-request.ts";
import { VirtualTime } from "./virtual-time.ts";
import type { Workload, WorkloadRequest } from "./workload/workload.ts";

export interface ReplayOptions {
  readonly workload: Workload;
  /** Divides arrival times: 2 offers requests twice as fast. */
  readonly rateScale: number;
  readonly servers: number;
  readonly model?: EngineModel;
  /** Deviations by server index. */
  readonly troubles?: ReadonlyMap<number, EngineTrouble>;
  readonly seed: number;
  /** Pickers side by side, each with a random share of the requests; built-in policies stay one. Default 1. */
  readonly replicas?: number;
  /** Period of scraping where a source states none. Default 50 ms. */
  readonly scrapeIntervalMs?: number;
  /** How late pickers see answers, as they do in real time. Built-in policies see none. Default: at once. */
  readonly answerDelays?: AnswerDelays;
  /** What servers say of tokens at the end of an answer. Default `full`. */
  readonly usage?: ReportedUsage;
  /** Shares of the requests, by order of arrival, that are served and not counted. Default 0.25 at the start. */
  readonly warmUp?: number;
  /** Default 0.1, at the end. */
  readonly coolDown?: number;
  readonly onProgress?: (done: number, of: number) => void;
}

/**
 * Makes a picker whose clock and timers are the replay's. Called once for each replica, with its index. The first error of
 * each plugin that `logger` hears of stands in the outcome.
 */
export type PickerFactory = (time: VirtualTime, replica: number, logger: Logger) => Promise<ReplayedPicker>;

/** Lets decisions that wait for settled promises go on. */
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Longest virtual time after the last arrival; what is not served by then counts as not served. */
const patienceMs = 3_600_000;

/** Streams of random numbers from here on delay answers, one to each replica. */
const firstDelayStream = 1000;

/** Requests done between two reports of progress. */
const reportEvery = 50;

/**
 * Replays a workload against one policy. Virtual time only: equal input gives equal output, however busy the machine,
 * wall times of decisions aside. (A picker that draws random numbers gets a seeded generator from whoever makes it; one
 * that waits for more than timers and settled promises is not repeatable.)
 */
export async function runReplay(
  policy: BuiltinPolicyName | PickerFactory,
  options: ReplayOptions,
): Promise<ReplayOutcome> {
  const { workload } = options;
  const time = new VirtualTime();
  const engines = Array.from(
    { length: options.servers },
    (_, index) =>
      new SimulatedEngine({
        index,
        model: options.model ?? defaultEngineModel,
        keyCount: workload.keyCount,
        trouble: options.troubles?.get(index),
        now: () => time.now(),
        at: (atMs, run) => void time.at(atMs, run),
      }),
  );
  const problems = new PluginProblems();
  const router =
    typeof policy === "string"
      ? builtinPolicy(policy, engines, options.seed)
      : await pickerPolicy(policy, engines, time, problems, options);
  const replay = new Replay(options, engines, router, time);
  try {
    await replay.run();
  } finally {
    await router.dispose?.();
  }
  return replay.outcome(problems.first);
}

/** A picker, or several that share the requests. */
async function pickerPolicy(
  make: PickerFactory,
  engines: readonly SimulatedEngine[],
  time: VirtualTime,
  problems: PluginProblems,
  { workload, seed, replicas = 1, scrapeIntervalMs = 50, answerDelays, usage = "full" }: ReplayOptions,
): Promise<RoutingPolicy> {
  const pickers: RoutingPolicy[] = [];
  try {
    for (let replica = 0; replica < replicas; replica++) {
      const picker = await make(time, replica, problems.logger());
      const random = new SeededRandom(seed, firstDelayStream + replica);
      const scrapePhase = replica / replicas;
      const surroundings = { scrapeIntervalMs, scrapePhase, usage, answerDelays, random, problems };
      pickers.push(new PickerPolicy(picker, engines, workload, time, surroundings));
    }
  } catch (thrown: unknown) {
    for (const picker of pickers) await picker.dispose?.();
    throw thrown;
  }
  return pickers.length === 1 ? pickers[0]! : new ReplicatedPolicy(pickers, seed);
}

/** One run of a workload through a policy and its servers. */
class Replay {
  readonly #options: ReplayOptions;
  readonly #engines: readonly SimulatedEngine[];
  readonly #policy: RoutingPolicy;
  readonly #time: VirtualTime;
  readonly #followers: Map<number, WorkloadRequest[]> = new Map();
  readonly #imbalance: ImbalanceMeter;
  /** In order of arrival. */
  readonly #served: ServedRequest[] = [];
  /** Counted are those from index `#from` up to, not including, `#to`. */
  readonly #from: number;
  readonly #to: number;
  #done = 0;
  #undecided = 0;

  constructor(options: ReplayOptions, engines: readonly SimulatedEngine[], policy: RoutingPolicy, time: VirtualTime) {
    const { length } = options.workload.requests;
    this.#options = options;
    this.#engines = engines;
    this.#policy = policy;
    this.#time = time;
    this.#imbalance = new ImbalanceMeter(engines.length);
    this.#from = Math.floor(length * (options.warmUp ?? 0.25));
    this.#to = length - Math.floor(length * (options.coolDown ?? 0.1));
  }

  async run(): Promise<void> {
    const { length } = this.#options.workload.requests;
    const lastMs = this.#schedule();
    let reported = 0;
    while (this.#done < length && this.#time.now() < lastMs + patienceMs) {
      const advanced = this.#time.step();
      if (!advanced && this.#undecided === 0) break;
      if (this.#undecided > 0) await settle();
      if (this.#done - reported < reportEvery) continue;
      reported = this.#done;
      this.#options.onProgress?.(reported, length);
      await settle();
    }
    this.#options.onProgress?.(this.#done, length);
  }

  outcome(pluginProblems: ReadonlyMap<string, string>): ReplayOutcome {
    return summarize({
      policy: this.#policy.name,
      requests: this.#options.workload.requests.length,
      served: this.#served,
      pluginProblems,
      busyMs: this.#engines.map((engine) => engine.busyMs),
      imbalance: this.#imbalance.imbalance,
    });
  }

  /** Puts the arrivals on the calendar, those that follow an answer aside. Returns when the last one is. */
  #schedule(): number {
    let lastMs = 0;
    for (const request of this.#options.workload.requests) {
      if (request.follows !== undefined) {
        const followers = this.#followers.get(request.follows);
        if (followers === undefined) this.#followers.set(request.follows, [request]);
        else followers.push(request);
        continue;
      }
      const atMs = request.atMs / this.#options.rateScale;
      lastMs = Math.max(lastMs, atMs);
      this.#time.at(atMs, () => this.#arrive(request));
    }
    return lastMs;
  }

  #arrive(request: WorkloadRequest): void {
    const arrivalMs = this.#time.now();
    const order = this.#served.length;
    if (order === this.#from) this.#imbalance.measure(arrivalMs, true);
    if (order === this.#to - 1) this.#imbalance.measure(arrivalMs, false);
    const record: ServedRequest = {
      request,
      arrivalMs,
      counted: order >= this.#from && order < this.#to,
      server: undefined,
      problem: undefined,
      decisionMs: undefined,
      admittedMs: Number.NaN,
      firstTokenMs: Number.NaN,
      finishedMs: Number.NaN,
      cachedTokens: 0,
    };
    this.#served.push(record);
    // Servers are of one model, so that it depends on no decision.
    if (!this.#engines[0]!.fits(request)) {
      record.problem = "longer than a server's cache";
      this.#finished(record);
      return;
    }
    this.#undecided++;
    this.#policy.route(request, (choice) => {
      this.#undecided--;
      record.decisionMs = choice.decisionMs;
      const engine = choice.server === undefined ? undefined : this.#engines[choice.server];
      if (engine === undefined) {
        record.problem = choice.problem ?? "no destination";
        this.#finished(record);
        return;
      }
      record.server = engine.index;
      this.#imbalance.change(this.#time.now(), engine.index, 1);
      engine.submit(request, (sequence) => this.#progress(record, sequence, choice.onProgress), choice.expectedTokens);
    });
  }

  #progress(
    record: ServedRequest,
    sequence: Sequence,
    onProgress: ((sequence: Sequence, finished: boolean) => void) | undefined,
  ): void {
    const finished = !Number.isNaN(sequence.finishedMs);
    onProgress?.(sequence, finished);
    if (!finished) return;
    record.admittedMs = sequence.admittedMs;
    record.firstTokenMs = sequence.firstTokenMs;
    record.finishedMs = sequence.finishedMs;
    record.cachedTokens = sequence.cachedTokens;
    this.#imbalance.change(this.#time.now(), record.server!, -1);
    this.#finished(record);
  }

  #finished(record: ServedRequest): void {
    this.#done++;
    for (const next of this.#followers.get(record.request.index) ?? []) {
      this.#time.at(this.#time.now() + next.atMs, () => this.#arrive(next));
    }
  }
}
