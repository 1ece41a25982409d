import type { Clock, Timers } from "@pointsman/core";

/** Something that may wait only until a moment. */
export interface Deadline {
  /** Monotonic milliseconds; infinity when nothing is being waited for. */
  readonly deadlineMs: number;
  /** Kept by {@link Deadlines}: the place among its entries; -1 when it is none of them. */
  deadlinePlace: number;
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
  /**
   * An array in which each knows its place, and not a Set: a table that a Set has outgrown points to the next one, so
   * that once one of them is in V8's old generation, all answers that were ever in it get there too.
   */
  readonly #entries: Deadline[] = [];
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
    if (entry.deadlinePlace >= 0) return;
    entry.deadlinePlace = this.#entries.length;
    this.#entries.push(entry);
  }

  delete(entry: Deadline): void {
    const place = entry.deadlinePlace;
    if (place < 0) return;
    entry.deadlinePlace = -1;
    const last = this.#entries.pop()!;
    if (last === entry) return;
    this.#entries[place] = last;
    last.deadlinePlace = place;
  }

  stop(): void {
    this.#timer?.stop();
    for (const entry of this.#entries) entry.deadlinePlace = -1;
    this.#entries.length = 0;
  }

  #check(): void {
    const nowMs = this.#clock.now();
    // Those that have expired may leave, and let others in, while they are told.
    const expired = this.#entries.filter((entry) => nowMs >= entry.deadlineMs);
    for (const entry of expired) if (entry.deadlinePlace >= 0 && nowMs >= entry.deadlineMs) entry.expired();
  }
}
