import type { Clock, Timers } from "@pointsman/core";

/** Something that may wait only until a moment. */
export interface Deadline {
  /** Monotonic milliseconds; infinity when nothing is being waited for. */
  readonly deadlineMs: number;
  /** Called once the moment has passed, again at every check until `deadlineMs` is moved or the entry deleted. */
  expired(): void;
}

/** How often deadlines are checked, milliseconds: a time-out strikes this much late at most. */
export const checkIntervalMs = 250;

/**
 * Checks many deadlines with one timer. Setting a deadline costs one store, so that connections can have one in every
 * state.
 */
export class Deadlines {
  readonly #clock: Clock;
  readonly #entries = new Set<Deadline>();
  readonly #timers: Timers;
  #timer: { stop(): void } | undefined;

  constructor(clock: Clock, timers: Timers) {
    this.#clock = clock;
    this.#timers = timers;
  }

  start(): void {
    this.#timer ??= this.#timers.every(checkIntervalMs, () => this.#check());
  }

  get nowMs(): number {
    return this.#clock.now();
  }

  add(entry: Deadline): void {
    this.#entries.add(entry);
  }

  delete(entry: Deadline): void {
    this.#entries.delete(entry);
  }

  stop(): void {
    this.#timer?.stop();
    this.#entries.clear();
  }

  #check(): void {
    const nowMs = this.#clock.now();
    for (const entry of this.#entries) {
      if (nowMs >= entry.deadlineMs) entry.expired();
    }
  }
}
