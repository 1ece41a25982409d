import { type Clock, systemClock } from "@pointsman/core";

/** Time between two looks at the clock, and the most that counts of it. */
const tickMs = 5;
const mostMs = 50;

/**
 * The real clock without the times in which this process was held up: server and client of a test stand still together then,
 * and nobody is late.
 */
export class StallFreeClock implements Clock {
  #seenAtMs = systemClock.now();
  #nowMs = 0;
  readonly #ticking = setInterval(() => this.now(), tickMs).unref();

  now(): number {
    const seenAtMs = systemClock.now();
    this.#nowMs += Math.min(seenAtMs - this.#seenAtMs, mostMs);
    this.#seenAtMs = seenAtMs;
    return this.#nowMs;
  }

  wallTime(): number {
    return systemClock.wallTime();
  }

  stop(): void {
    clearInterval(this.#ticking);
  }
}
