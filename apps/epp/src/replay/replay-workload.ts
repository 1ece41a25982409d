import { constants } from "node:buffer";
import { readFile, stat } from "node:fs/promises";
import { errorText } from "@pointsman/core";
import {
  buildWorkload,
  defaultEngineModel,
  hotPrefixRequests,
  multiTurnRequests,
  type RequestOutline,
  readTrace,
  sharedPrefixRequests,
  TraceError,
  type Workload,
} from "@pointsman/replay";

interface SyntheticWorkload {
  /** Number of requests where none is asked for. */
  readonly requests: number;
  make(count: number, seed: number): readonly RequestOutline[];
}

/** Workloads that need no file. */
const syntheticWorkloads: ReadonlyMap<string, SyntheticWorkload> = new Map([
  ["shared-prefix", { requests: 2000, make: sharedPrefixRequests }],
  ["multi-turn", { requests: 1300, make: multiTurnRequests }],
  ["hot-prefix", { requests: 3000, make: hotPrefixRequests }],
]);

/** Names of the workloads that need no file. */
export const syntheticWorkloadNames: readonly string[] = [...syntheticWorkloads.keys()];

const traceRequests = 2000;
/** A trace is read into one string, which has at most as many characters as the file has bytes. */
const maxTraceBytes = constants.MAX_STRING_LENGTH;

/** Makes the workload of a seed. */
export type WorkloadOfSeed = (seed: number) => Workload;

/** Reads or makes a workload. Throws {@link TraceError} when a trace cannot be used; then no workload is made of it. */
export async function replayWorkload(options: {
  readonly trace: string;
  readonly workload: string;
  readonly requests: number | undefined;
}): Promise<WorkloadOfSeed> {
  const { trace, workload, requests } = options;
  const build = (outlines: readonly RequestOutline[]): Workload =>
    buildWorkload(workload, outlines, defaultEngineModel.blockTokens);
  const synthetic = syntheticWorkloads.get(workload);
  if (synthetic !== undefined) return (seed) => build(synthetic.make(requests ?? synthetic.requests, seed));
  const text = await readTraceFile(trace);
  return (seed) => build(readTrace(text, trace, requests ?? traceRequests, seed));
}

async function readTraceFile(file: string): Promise<string> {
  let bytes: number;
  try {
    bytes = (await stat(file)).size;
    // Editors of Windows put a byte order mark before the first line.
    if (bytes <= maxTraceBytes) return (await readFile(file, "utf8")).replace(/^\ufeff/, "");
  } catch (thrown: unknown) {
    throw new TraceError(`cannot read ${file}: ${errorText(thrown)}`);
  }
  throw new TraceError(`${file} has ${bytes} bytes; a trace may have ${maxTraceBytes}, the longest string. Split it`);
}
