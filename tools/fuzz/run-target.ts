import { Worker } from "node:worker_threads";
import type { FuzzReport, FuzzWork } from "./fuzz-worker.ts";
import { InputMemory } from "./input-memory.ts";

export interface FuzzOptions {
  /** URL of a module whose default export is the target. */
  readonly module: string;
  readonly seed: number;
  readonly timeMs: number;
  /** Inputs after which it ends, whatever the time. */
  readonly maxInputs?: number;
  /** Time for one input. */
  readonly inputTimeMs?: number;
  /** What the target may hold on to after its warm-up. */
  readonly maxHeldBytes?: number;
  /** Memory of the whole process at any moment. */
  readonly maxProcessBytes?: number;
  readonly seeds?: readonly Uint8Array[];
}

/** Ample for two busy cores: inputs are small. */
const defaultInputTimeMs = 10_000;
const defaultMaxHeldBytes = 48 * 1024 * 1024;
const defaultMaxProcessBytes = 1536 * 1024 * 1024;
/** Time to load the target. */
const loadTimeMs = 60_000;
const maxHeapMb = 768;
const lookMs = 100;

/**
 * Tries inputs on a target in a thread of its own. An input that takes too long, needs too much memory or ends the thread
 * is a failure like one that breaks a rule. Never rejects.
 */
export function runTarget(options: FuzzOptions): Promise<FuzzReport> {
  const memory = new InputMemory();
  const inputTimeMs = options.inputTimeMs ?? defaultInputTimeMs;
  const maxProcessBytes = options.maxProcessBytes ?? defaultMaxProcessBytes;
  const work: FuzzWork = {
    module: options.module,
    seed: options.seed,
    timeMs: options.timeMs,
    maxInputs: options.maxInputs ?? Number.MAX_SAFE_INTEGER,
    maxHeldBytes: options.maxHeldBytes ?? defaultMaxHeldBytes,
    shrinkTimeMs: Math.min(3000, inputTimeMs),
    memory: memory.shared,
    seeds: options.seeds ?? [],
  };
  const worker = new Worker(new URL("./fuzz-worker.ts", import.meta.url), {
    workerData: work,
    execArgv: ["--conditions=@pointsman/source"],
    resourceLimits: { maxOldGenerationSizeMb: maxHeapMb },
  });
  return new Promise((resolve) => {
    let count = 0;
    let sinceMs = performance.now();
    const end = (report: FuzzReport): void => {
      clearInterval(looking);
      resolve(report);
      void worker.terminate();
    };
    const fail = (text: string): void =>
      end({
        inputs: memory.count,
        slowestMs: performance.now() - sinceMs,
        heldBytes: 0,
        failure: { text, input: memory.input },
      });
    const looking = setInterval(() => {
      const nowMs = performance.now();
      if (memory.count !== count) {
        count = memory.count;
        sinceMs = nowMs;
      } else if (nowMs - sinceMs > (count === 0 ? loadTimeMs : inputTimeMs)) fail(`took longer than ${inputTimeMs} ms`);
      const { rss } = process.memoryUsage();
      if (rss > maxProcessBytes) fail(`the process has ${rss} bytes of memory, more than ${maxProcessBytes}`);
    }, lookMs);
    worker.once("message", (report: FuzzReport) => end(report));
    worker.once("error", (error: unknown) => {
      fail(`ended the thread: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
    });
    worker.once("exit", (code) => fail(`ended the thread with code ${code}`));
  });
}
