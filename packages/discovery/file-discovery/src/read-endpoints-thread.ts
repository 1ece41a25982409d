import { parentPort, workerData } from "node:worker_threads";
import { type ReadOptions, readEndpoints } from "./read-endpoints.ts";

// What `readInThread` passes.
const { text, options } = workerData as { readonly text: string; readonly options: ReadOptions };
parentPort?.postMessage(readEndpoints(text, options));
