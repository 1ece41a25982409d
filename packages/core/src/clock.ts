/**
 * Time as the endpoint picker sees it. Production code uses {@link systemClock}; tests pass a fake.
 */
export interface Clock {
  /** Monotonic milliseconds since an arbitrary start. Use it for ages, deadlines and durations. */
  now(): number;
  /** Milliseconds since the Unix epoch. Use it only for what people or other systems read. */
  wallTime(): number;
}

/** The clock of the running process. */
export const systemClock: Clock = {
  now: () => performance.now(),
  wallTime: () => Date.now(),
};

/** The longest delay of a timer in Node, 24.8 days: it turns a longer one into 1 ms. */
export const maxDelayMs = 0x7fffffff;

/** Timers of one owner: everything started here stops together, so that a disposed plugin leaves nothing running. */
export interface Timers {
  /** Calls `run` every `intervalMs` until stopped. An exception in `run` is logged by the owner and does not stop the timer. */
  every(intervalMs: number, run: () => void): { stop(): void };
  /** Calls `run` once after `delayMs`. */
  after(delayMs: number, run: () => void): { stop(): void };
}
