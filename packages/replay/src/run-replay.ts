import { defaultEngineModel, type EngineModel } from "./engine/engine-model.ts";
import { type EngineTrouble, type Sequence, SimulatedEngine } from "./engine/simulated-engine.ts";
import { type BuiltinPolicyName, builtinPolicy } from "./policies/builtin-policies.ts";
import { PickerPolicy, type ReplayedPicker } from "./policies/picker-policy.ts";
import type { RoutingPolicy } from "./policies/routing-policy.ts";
import { type ReplayOutcome, summarize } from "./replay-outcome.ts";
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
  /** Period of scraping where a source states none. Default 50 ms. */
  readonly scrapeIntervalMs?: number;
  /** Shares of the requests, by order of arrival, that are served and not counted at the start and at the end. */
  readonly warmUp?: number;
  readonly coolDown?: number;
  readonly onProgress?: (done: number, of: number) => void;
}

/** Makes a picker whose clock and timers are the replay's. */
export type PickerFactory = (time: VirtualTime) => Promise<ReplayedPicker>;

/** What became of one request. */
export interface ServedRequest {
  readonly request: WorkloadRequest;
  readonly arrivalMs: number;
  server: number | undefined;
  problem: string | undefined;
  decisionMs: number | undefined;
  /** When the server began with the prompt. */
  admittedMs: number;
  firstTokenMs: number;
  finishedMs: number;
  cachedTokens: number;
}

/** Lets decisions that wait for settled promises go on. */
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Longest virtual time after the last arrival; what is not served by then counts as not served. */
const patienceMs = 3_600_000;

/**
 * Replays a workload against one policy. Virtual time only: equal input gives equal output, however busy the machine.
 * (A picker that draws random numbers gets a seeded generator from whoever makes it.)
 */
export async function runReplay(
  policy: BuiltinPolicyName | PickerFactory,
  options: ReplayOptions,
): Promise<ReplayOutcome> {
  const { workload, rateScale, seed } = options;
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
  const router: RoutingPolicy =
    typeof policy === "string"
      ? builtinPolicy(policy, engines, seed)
      : new PickerPolicy(await policy(time), engines, workload, time, options.scrapeIntervalMs ?? 50);
  const replay = new Replay(workload, rateScale, engines, router, time, options.onProgress);
  try {
    await replay.run();
  } finally {
    await router.dispose?.();
  }
  return summarize(router.name, replay.served, engines, options);
}

class Replay {
  readonly served: ServedRequest[] = [];
  readonly #workload: Workload;
  readonly #engines: readonly SimulatedEngine[];
  readonly #policy: RoutingPolicy;
  readonly #time: VirtualTime;
  readonly #followers: Map<number, WorkloadRequest[]> = new Map();
  readonly #rateScale: number;
  readonly #report: ((done: number, of: number) => void) | undefined;
  #done = 0;
  #undecided = 0;

  constructor(
    workload: Workload,
    rateScale: number,
    engines: readonly SimulatedEngine[],
    policy: RoutingPolicy,
    time: VirtualTime,
    report: ((done: number, of: number) => void) | undefined,
  ) {
    this.#workload = workload;
    this.#rateScale = rateScale;
    this.#engines = engines;
    this.#policy = policy;
    this.#time = time;
    this.#report = report;
  }

  async run(): Promise<void> {
    const { requests } = this.#workload;
    let lastMs = 0;
    for (const request of requests) {
      if (request.follows !== undefined) {
        const followers = this.#followers.get(request.follows);
        if (followers === undefined) this.#followers.set(request.follows, [request]);
        else followers.push(request);
        continue;
      }
      const atMs = request.atMs / this.#rateScale;
      lastMs = Math.max(lastMs, atMs);
      this.#time.at(atMs, () => this.#arrive(request));
    }
    let reported = 0;
    while (this.#done < requests.length && this.#time.now() < lastMs + patienceMs) {
      if (!this.#time.step()) {
        if (this.#undecided === 0) break;
        await settle();
      } else if (this.#undecided > 0) await settle();
      if (this.#done - reported >= 50) {
        reported = this.#done;
        this.#report?.(reported, requests.length);
        await settle();
      }
    }
    this.#report?.(this.#done, requests.length);
  }

  #arrive(request: WorkloadRequest): void {
    const record: ServedRequest = {
      request,
      arrivalMs: this.#time.now(),
      server: undefined,
      problem: undefined,
      decisionMs: undefined,
      admittedMs: Number.NaN,
      firstTokenMs: Number.NaN,
      finishedMs: Number.NaN,
      cachedTokens: 0,
    };
    this.served.push(record);
    this.#undecided++;
    this.#policy.route(request, (choice) => {
      this.#undecided--;
      record.decisionMs = choice.decisionMs;
      const engine = choice.server === undefined ? undefined : this.#engines[choice.server];
      if (engine === undefined || !engine.fits(request)) {
        record.problem = choice.problem ?? (engine === undefined ? "no destination" : "longer than a server's cache");
        this.#finished(record);
        return;
      }
      record.server = engine.index;
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
    this.#finished(record);
  }

  #finished(record: ServedRequest): void {
    this.#done++;
    for (const next of this.#followers.get(record.request.index) ?? []) {
      this.#time.at(this.#time.now() + next.atMs, () => this.#arrive(next));
    }
  }
}
