import type { FailureKind } from "./poll-failure.ts";

/** Fraction of the interval by which a poll may be early or late. */
const jitter = 0.1;
const goldenRatio = 0.6180339887498949;

/**
 * Position of a poll in the interval, in [0, 1). Positions of consecutive numbers spread evenly, however many there
 * are, and a position does not depend on who else is polled.
 */
export function pollPhase(number: number): number {
  return (number * goldenRatio) % 1;
}

/**
 * When to poll next after a poll that succeeded: the next point of the grid `phase + k * interval`, moved a little by
 * `random` (uniform in [0, 1)). At least 0.4 intervals lie between two starts; points that have passed are left out.
 */
export function nextPollMs(options: {
  readonly startedMs: number;
  readonly nowMs: number;
  readonly intervalMs: number;
  readonly phase: number;
  readonly random: number;
}): number {
  const { startedMs, nowMs, intervalMs, phase, random } = options;
  const earliestMs = Math.max(startedMs + intervalMs / 2, nowMs);
  const gridMs = (Math.ceil(earliestMs / intervalMs - phase) + phase) * intervalMs;
  return Math.max(nowMs, gridMs + (2 * random - 1) * jitter * intervalMs);
}

/** Longest wait between two tries, by what goes wrong. */
const longestWaitMs: Readonly<Record<FailureKind, number>> = {
  // A try costs next to nothing on either side, and a restarted server is seen within this time.
  unreachable: 1000,
  // A server that hangs is spared.
  silent: 5000,
  "bad-answer": 2000,
  local: 2000,
};

/**
 * How long to wait after the `failures`-th failure in a row: doubles from twice the interval up to the limit of the kind
 * of failure, less up to a quarter by `random` (uniform in [0, 1)). Never shorter than the interval.
 */
export function backOffMs(kind: FailureKind, failures: number, intervalMs: number, random: number): number {
  const doubledMs = intervalMs * 2 ** Math.min(failures, 30);
  return Math.max(intervalMs, Math.min(longestWaitMs[kind], doubledMs) * (1 - random / 4));
}
