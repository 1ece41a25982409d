import type { Clock, Logger, Timers } from "@pointsman/core";

export interface ReadinessOptions {
  /** Why the process is not ready, `undefined` when it is. */
  notReady(): string | undefined;
  /** Facts that go with the line that says it is ready. */
  readyFields(): Readonly<Record<string, unknown>>;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly logger: Logger;
}

const checkMs = 100;
/** Reasons may change with each try to reach the API server. */
const reasonMs = 10_000;

/** Says in the log when the process becomes ready or stops to be, and why it is not. */
export function tellReadiness({ notReady, readyFields, clock, timers, logger }: ReadinessOptions): void {
  let told: string | undefined | false = false;
  let toldAtMs = Number.NEGATIVE_INFINITY;
  const look = (): void => {
    const reason = notReady();
    if (reason === told) return;
    const nowMs = clock.now();
    if (reason !== undefined && typeof told === "string" && nowMs - toldAtMs < reasonMs) return;
    told = reason;
    toldAtMs = nowMs;
    if (reason === undefined) logger.info(readyFields(), "ready");
    else logger.info({ reason }, "not ready");
  };
  look();
  timers.every(checkMs, look);
}
