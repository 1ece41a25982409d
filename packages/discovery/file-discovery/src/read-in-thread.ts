import { Worker } from "node:worker_threads";
import { errorText, type Timers } from "@pointsman/core";
import type { EndpointsFile } from "./endpoints-file.ts";
import type { ReadOptions } from "./read-endpoints.ts";

/** Real files of the largest size take about a second. */
const timeLimitMs = 20_000;
const memoryLimitMb = 512;

// Sources run as they are in development, so the thread's file has the ending of this one.
const threadFile: URL = new URL(
  import.meta.url.endsWith(".ts") ? "./read-endpoints-thread.ts" : "./read-endpoints-thread.js",
  import.meta.url,
);

/** A reading in another thread. */
export interface ThreadReading {
  /** Rejects when the thread fails, takes longer than 20 seconds, or needs more memory than it is given. */
  readonly file: Promise<EndpointsFile>;
  /** Ends the thread; `file` rejects unless it has resolved. */
  stop(): void;
}

/** Reads the text of an endpoints file in a thread of its own, so that requests do not wait for it. */
export function readInThread(text: string, options: ReadOptions, timers: Timers): ThreadReading {
  const worker = new Worker(threadFile, {
    workerData: { text, options },
    // What the process was started with (a debugger, a profiler, text to evaluate) is not for this thread.
    execArgv: [],
    resourceLimits: { maxOldGenerationSizeMb: memoryLimitMb },
  });
  const file = new Promise<EndpointsFile>((resolve, reject) => {
    const timer = timers.after(timeLimitMs, () => {
      reject(new Error(`reading it takes longer than ${timeLimitMs / 1000} seconds`));
      void worker.terminate();
    });
    worker.once("message", resolve);
    worker.once("error", (error) => reject(new Error(`reading it failed: ${errorText(error)}`)));
    worker.once("exit", () => {
      timer.stop();
      reject(new Error("reading it was ended"));
    });
  });
  return { file, stop: () => void worker.terminate() };
}
