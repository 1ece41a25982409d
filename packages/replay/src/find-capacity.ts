import { type ReplayOptions, runReplay } from "./run-replay.ts";

/** Longest mean wait at which a pool keeps up. */
const longestQueueMs = 1000;
/** Least share of the tokens asked for that a pool that keeps up generates. */
const leastOutput = 0.97;
/** Rate scales that are looked at. */
const lowest = 1 / 1024;
const highest = 2 ** 24;
const halvings = 6;

/** A workload for which there is no load that a pool can just take. */
export class CapacityError extends Error {
  override readonly name: string = "CapacityError";
}

/**
 * Finds the highest rate scale that a pool can take: at which the policy that sees everything (`oracle-e2e`) keeps
 * requests waiting for less than a second on average and the pool generates 97 % of the tokens asked for.
 *
 * Precision: 1 %. Stalls are left out of account, slow servers are not. Throws {@link CapacityError} when the pool keeps
 * up at every rate scale from 1 to 2^24, or at none from 1 down to 1/1024. Cost: about ten replays; one more for each
 * factor of 2 by which the capacity is above 1.
 */
export async function findCapacity(options: Omit<ReplayOptions, "rateScale" | "onProgress">): Promise<number> {
  const speeds = new Map(
    Array.from(options.troubles ?? [], ([server, { speed }]) => [server, speed === undefined ? {} : { speed }]),
  );
  const keepsUp = async (rateScale: number): Promise<boolean> => {
    const outcome = await runReplay("oracle-e2e", { ...options, troubles: speeds, rateScale });
    return outcome.queueMs.mean < longestQueueMs && outcome.outputKeptUp >= leastOutput;
  };
  let low = 1;
  if (await keepsUp(low)) {
    while (low < highest && (await keepsUp(low * 2))) low *= 2;
    if (low === highest) {
      throw new CapacityError(`the servers keep up with this workload at every rate scale up to ${highest}`);
    }
  } else {
    do low /= 2;
    while (low > lowest && !(await keepsUp(low)));
    if (low === lowest) {
      const { length } = options.workload.requests;
      throw new CapacityError(
        `with ${length} requests no rate is found that the servers keep up with: they may be too few`,
      );
    }
  }
  let high = low * 2;
  for (let i = 0; i < halvings; i++) {
    const middle = Math.sqrt(low * high);
    if (await keepsUp(middle)) low = middle;
    else high = middle;
  }
  return low;
}
