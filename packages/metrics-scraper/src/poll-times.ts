import type { FailureKind } from "./poll-failure.ts";

/** Fraction of the interval by which a poll may be early or late. */
const jitter = 0.1;
const goldenRatio = 0.6180339887498949;

/** Polls at one place in the interval: one wake-up of the process starts them, and mostly one reads their answers. */
const pollsTogether = 4;

/** Where polls stand in the interval. */
export interface PollPlace {
  /** Polls of one number stand together. */
  readonly group: number;
  /** Position in the interval, in [0, 1). */
  readonly phase: number;
}

/**
 * The place of a poll. Groups of consecutive numbers spread evenly, however many there are, and a place does not depend
 * on who else is polled.
 */
export function pollPlace(number: number): PollPlace {
  const group = Math.floor(number / pollsTogether);
  return { group, phase: (group * goldenRatio) % 1 };
}

/**
 * When to poll next after a poll that succeeded: the next point of the grid `phase + k * interval`, moved a little, by
 * the same for all polls of a group. At least 0.4 intervals lie between two starts; points that have passed are left out.
 * `seed` is an integer that another process draws anew.
 */
export function nextPollMs(options: {
  readonly startedMs: number;
  readonly nowMs: number;
  readonly intervalMs: number;
  readonly place: PollPlace;
  readonly seed: number;
}): number {
  const { startedMs, nowMs, intervalMs, place, seed } = options;
  const earliestMs = Math.max(startedMs + intervalMs / 2, nowMs);
  const point = Math.ceil(earliestMs / intervalMs - place.phase);
  const move = (2 * fraction(seed, place.group, point) - 1) * jitter;
  return Math.max(nowMs, (point + place.phase + move) * intervalMs);
}

/** A number in [0, 1) that looks random, the same for the same three integers. */
function fraction(seed: number, group: number, point: number): number {
  let bits = seed ^ Math.imul(group, 0x9e3779b1) ^ Math.imul(point, 0x85ebca6b);
  bits = Math.imul(bits ^ (bits >>> 16), 0x45d9f3b5);
  bits = Math.imul(bits ^ (bits >>> 15), 0x2c1b3c6d);
  return ((bits ^ (bits >>> 16)) >>> 0) / 2 ** 32;
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
