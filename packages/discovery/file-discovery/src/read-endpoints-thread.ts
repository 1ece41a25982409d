import { parentPort, workerData } from "node:worker_threads";
import { readEndpoints } from "./read-endpoints.ts";

parentPort?.postMessage(readEndpoints(String(workerData)));
