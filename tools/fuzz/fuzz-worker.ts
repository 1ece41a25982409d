import { setImmediate } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { parentPort, workerData } from "node:worker_threads";
import { FuzzRandom } from "./fuzz-random.ts";
import type { FuzzTarget } from "./fuzz-target.ts";
import { InputMemory } from "./input-memory.ts";
import { mutate } from "./mutate.ts";
import { shrink } from "./shrink.ts";

/** What the thread is told. */
export interface FuzzWork {
  /** URL of a module whose default export is the target. */
  readonly module: string;
  readonly seed: number;
  readonly timeMs: number;
  readonly maxInputs: number;
  readonly maxHeldBytes: number;
  readonly shrinkTimeMs: number;
  readonly memory: SharedArrayBuffer;
  /** Inputs that failed once; mutations start from them too. */
  readonly seeds: readonly Uint8Array[];
}

/** What the thread tells: its end. */
export interface FuzzReport {
  readonly inputs: number;
  readonly slowestMs: number;
  /** Memory that the target held on to between the end of its warm-up and its last input. */
  readonly heldBytes: number;
  readonly failure: { readonly text: string; readonly input: Uint8Array } | undefined;
}

/** Time between looks at the memory. */
const memoryLookMs = 2000;
/** Part of the time after which a target has what it keeps for good. */
const warmUpPart = 0.3;
const inputsPerTurn = 20;
const defaultMaxInputBytes = 16_384;

const work = workerData as FuzzWork;
const memory = new InputMemory(work.memory);
setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

function heldBytes(): number {
  collect();
  collect();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

function describe(thrown: unknown): string {
  return thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
}

function makeInput(target: FuzzTarget, random: FuzzRandom): Uint8Array {
  const base = work.seeds.length > 0 && random.oneIn(8) ? random.pick(work.seeds) : target.sample(random);
  if (random.oneIn(4)) return base;
  const other = random.oneIn(4) ? target.sample(random) : base;
  return mutate(base, other, random, target.maxInputBytes ?? defaultMaxInputBytes);
}

async function fails(target: FuzzTarget, input: Uint8Array): Promise<boolean> {
  memory.begin(input);
  try {
    await target.check(input);
    return false;
  } catch {
    return true;
  }
}

async function run(): Promise<FuzzReport> {
  const { default: target } = (await import(work.module)) as { readonly default: FuzzTarget };
  const startMs = performance.now();
  let slowestMs = 0;
  let nextLookMs = 0;
  let baseBytes: number | undefined;
  let grownBytes = 0;
  let inputs = 0;
  const report = (failure: FuzzReport["failure"]): FuzzReport => ({
    inputs,
    slowestMs,
    heldBytes: grownBytes,
    failure,
  });
  const warmUp = { ms: startMs + work.timeMs * warmUpPart, inputs: work.maxInputs * warmUpPart };
  const look = async (): Promise<FuzzReport | undefined> => {
    await setImmediate();
    const bytes = heldBytes();
    baseBytes ??= bytes;
    grownBytes = bytes - baseBytes;
    if (grownBytes <= work.maxHeldBytes) return undefined;
    return report({ text: `holds ${grownBytes} bytes more than after its warm-up`, input: memory.input });
  };
  for (; inputs < work.maxInputs; inputs++) {
    const input = makeInput(target, FuzzRandom.at(work.seed, inputs));
    memory.begin(input);
    const beganMs = performance.now();
    try {
      const checked = target.check(input);
      if (checked !== undefined) await checked;
    } catch (thrown: unknown) {
      const overMs = performance.now() + work.shrinkTimeMs;
      const least = await shrink(
        input,
        (shorter) => fails(target, shorter),
        () => performance.now() > overMs,
      );
      return report({ text: describe(thrown), input: least });
    }
    const nowMs = performance.now();
    slowestMs = Math.max(slowestMs, nowMs - beganMs);
    // What inputs leave to the event loop, such as closing what unzips, is done in between.
    if (inputs % inputsPerTurn === 0) await setImmediate();
    if (nowMs - startMs > work.timeMs) {
      inputs++;
      break;
    }
    if (baseBytes === undefined ? nowMs < warmUp.ms && inputs < warmUp.inputs : nowMs < nextLookMs) continue;
    nextLookMs = nowMs + memoryLookMs;
    const failed = await look();
    if (failed !== undefined) return failed;
  }
  const failed = baseBytes === undefined ? undefined : await look();
  target.stop?.();
  return failed ?? report(undefined);
}

// A check that waits for nothing must not end the thread.
const alive = setInterval(() => {}, 60_000);
const report = await run();
clearInterval(alive);
parentPort?.postMessage(report);
