import { EppError, errorText, type Logger } from "@pointsman/core";
import type { AllowedTargets } from "./allowed-targets.ts";

/** The InferencePool whose pods may be targets. */
export interface PoolReference {
  readonly namespace: string;
  readonly name: string;
  readonly group: string;
}

/** The pods of an InferencePool as they come and go. */
export interface PoolMembers {
  /** Resolves once it is known whether there is a pool, and if so, which pods it has. Never rejects. */
  readonly listed: Promise<void>;
  /** What is not known, `undefined` when pool and pods are. */
  missing(): string | undefined;
  /** Whether pool and pods have been known at some time. */
  wasKnown(): boolean;
  /** Whether a host is an address or a name of a pod. */
  has(host: string): boolean;
  stop(): void;
}

/** Follows InferencePools. */
export interface PoolTargets {
  /** Starts to follow a pool, and waits for nothing. Rejects when there is no way to ask for it. */
  open(pool: PoolReference, logger: Logger): Promise<PoolMembers>;
}

export interface PoolTargetsOptions {
  /** The start waits until the API server has told of the pool; else for `waitMs` only. */
  readonly required: boolean;
  readonly waitMs: number;
  /** Everything is allowed until the pool is known for the first time; not for one that is required. */
  readonly openUntilKnown: boolean;
  /** Ends the wait. */
  readonly signal: AbortSignal | undefined;
  readonly logger: Logger;
}

/**
 * Allows the pods of a pool: none when there is no such pool, those last known while the API server is away. Rejects with
 * `PD_SIDECAR_POOL` when the wait for a pool that is required was ended.
 */
export async function targetsOfPool(members: PoolMembers, options: PoolTargetsOptions): Promise<AllowedTargets> {
  const { required, openUntilKnown, logger } = options;
  const listed = await settled(members.listed, required ? undefined : options.waitMs, options.signal);
  const problem = members.missing();
  if (required && !listed) {
    members.stop();
    throw new EppError("PD_SIDECAR_POOL", `stopped before the inference pool was known: ${problem ?? ""}`);
  }
  if (problem !== undefined) {
    const effect = openUntilKnown ? "every target is allowed" : "none of its pods is allowed";
    logger.warn({ problem, effect }, "the inference pool is not known");
  }
  return {
    allows: ({ host }) => members.has(host) || (openUntilKnown && !members.wasKnown()),
    restricts: () => !openUntilKnown || members.wasKnown(),
    stop: () => members.stop(),
  };
}

/** Opens a pool. Missing values: undefined when it cannot be asked for and need not be. */
export async function openPool(
  poolTargets: PoolTargets | undefined,
  pool: PoolReference,
  required: boolean,
  logger: Logger,
): Promise<PoolMembers | undefined> {
  if (poolTargets === undefined) {
    if (!required) return undefined;
    throw new EppError(
      "PD_SIDECAR_POOL",
      "--enable-ssrf-protection with --inference-pool needs a Kubernetes client, which is not there; give the hosts " +
        "with --allowed-targets or --allowed-targets-file",
    );
  }
  try {
    return await poolTargets.open(pool, logger);
  } catch (thrown: unknown) {
    const problem = errorText(thrown);
    if (required) {
      throw new EppError(
        "PD_SIDECAR_POOL",
        `--inference-pool: ${problem}; or give the hosts with --allowed-targets or --allowed-targets-file`,
        { cause: thrown },
      );
    }
    logger.warn({ pool, problem }, "the inference pool cannot be watched; it restricts no target");
    return undefined;
  }
}

const keepAliveMs = 60_000;

/** Whether a promise resolved, before time ran out or somebody gave up. */
function settled(
  promise: Promise<void>,
  waitMs: number | undefined,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  if (signal?.aborted === true) return Promise.resolve(false);
  return new Promise((resolve) => {
    const end = (done: boolean): void => {
      clearTimeout(timer);
      clearInterval(alive);
      signal?.removeEventListener("abort", giveUp);
      resolve(done);
    };
    const giveUp = (): void => end(false);
    // Between two tries to reach the API server nothing else keeps the process alive.
    const alive = setInterval(() => {}, keepAliveMs);
    const timer = waitMs === undefined ? undefined : setTimeout(giveUp, waitMs);
    signal?.addEventListener("abort", giveUp);
    void promise.then(() => end(true));
  });
}
