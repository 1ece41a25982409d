import type { Clock, Timers } from "@pointsman/core";

interface Scheduled {
  atMs: number;
  readonly periodMs: number | undefined;
  readonly run: () => void;
  stopped: boolean;
}

/** A clock that moves only when told to, with the timers that hang on it. */
export class FakeClock implements Clock {
  #nowMs: number;
  #scheduled: Scheduled[] = [];
  readonly #wallOffsetMs: number;

  constructor(startMs: number = 1_000_000, wallOffsetMs: number = 1_700_000_000_000) {
    this.#nowMs = startMs;
    this.#wallOffsetMs = wallOffsetMs;
  }

  now(): number {
    return this.#nowMs;
  }

  wallTime(): number {
    return this.#wallOffsetMs + this.#nowMs;
  }

  /** Moves time forward and runs what falls due, in order of time. */
  advance(byMs: number): void {
    const endMs = this.#nowMs + byMs;
    for (;;) {
      const due = this.#scheduled
        .filter((entry) => !entry.stopped && entry.atMs <= endMs)
        .sort((a, b) => a.atMs - b.atMs)[0];
      if (due === undefined) break;
      this.#nowMs = Math.max(this.#nowMs, due.atMs);
      if (due.periodMs === undefined) due.stopped = true;
      else due.atMs += due.periodMs;
      due.run();
    }
    this.#scheduled = this.#scheduled.filter((entry) => !entry.stopped);
    this.#nowMs = endMs;
  }

  /** Timers driven by this clock. */
  get timers(): Timers {
    const start = (delayMs: number, periodMs: number | undefined, run: () => void): { stop(): void } => {
      const entry: Scheduled = { atMs: this.#nowMs + delayMs, periodMs, run, stopped: false };
      this.#scheduled.push(entry);
      return {
        stop: () => {
          entry.stopped = true;
        },
      };
    };
    return {
      every: (intervalMs, run) => start(intervalMs, intervalMs, run),
      after: (delayMs, run) => start(delayMs, undefined, run),
    };
  }

  /** Timers that have not run out or been stopped: 0 after a well-behaved plugin was disposed. */
  get pendingTimers(): number {
    return this.#scheduled.filter((entry) => !entry.stopped).length;
  }
}
