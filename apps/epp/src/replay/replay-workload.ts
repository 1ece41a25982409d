import { readFile } from "node:fs/promises";
import { errorText } from "@pointsman/core";
import {
  buildWorkload,
  defaultEngineModel,
  hotPrefixRequests,
  multiTurnRequests,
  type RequestOutline,
  readTrace,
  runReplay,
  sharedPrefixRequests,
  TraceError,
  type Workload,
} from "@pointsman/replay";

/** Workloads that need no file. */
export const syntheticWorkloads: Readonly<
  Record<string, { readonly requests: number; make(count: number, seed: number): readonly RequestOutline[] }>
> = {
  "shared-prefix": { requests: 2000, make: sharedPrefixRequests },
  "multi-turn": { requests: 1300, make: multiTurnRequests },
  "hot-prefix": { requests: 3000, make: hotPrefixRequests },
};

const traceRequests = 2000;

/** Reads or makes a workload. Throws {@link TraceError} when the file cannot be used. */
export async function replayWorkload(options: {
  readonly trace: string;
  readonly workload: string;
  readonly requests: number | undefined;
  readonly seed: number;
}): Promise<Workload> {
  const { trace, workload, requests, seed } = options;
  const synthetic = syntheticWorkloads[workload];
  if (synthetic !== undefined) {
    return buildWorkload(
      workload,
      synthetic.make(requests ?? synthetic.requests, seed),
      defaultEngineModel.blockTokens,
    );
  }
  let text: string;
  try {
    text = await readFile(trace, "utf8");
  } catch (thrown: unknown) {
    throw new TraceError(`cannot read ${trace}: ${errorText(thrown)}`);
  }
  const outlines = readTrace(text, trace, requests ?? traceRequests, seed);
  return buildWorkload("trace", outlines, defaultEngineModel.blockTokens);
}

/**
 * Factor on a workload's own rate at which the pool is offered `load` of what it can take: of the highest rate at which
 * the policy that sees everything keeps requests waiting for less than a second on average. Cost: a dozen replays.
 */
export async function rateScaleFor(load: number, workload: Workload, servers: number, seed: number): Promise<number> {
  const keepsUp = async (rateScale: number): Promise<boolean> => {
    const outcome = await runReplay("oracle-e2e", { workload, rateScale, servers, seed });
    return outcome.queueMs.mean < 1000 && outcome.outputKeptUp >= 0.97;
  };
  let low = 1 / 64;
  let high = 1;
  while (high < 4096 && (await keepsUp(high))) {
    low = high;
    high *= 2;
  }
  while (low < high / 2 && !(await keepsUp(high / 2))) high /= 2;
  low = Math.max(low, high / 2);
  for (let i = 0; i < 6; i++) {
    const middle = Math.sqrt(low * high);
    if (await keepsUp(middle)) low = middle;
    else high = middle;
  }
  return low * load;
}
