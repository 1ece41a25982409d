import type { Timers } from "@pointsman/core";

/** Passes timers on and remembers those that run, so that they can all be stopped. */
export class OwnedTimers implements Timers {
  readonly #timers: Timers;
  readonly #running = new Set<{ stop(): void }>();
  #over = false;

  constructor(timers: Timers) {
    this.#timers = timers;
  }

  every(intervalMs: number, run: () => void): { stop(): void } {
    return this.#over ? stopped : this.#own(this.#timers.every(intervalMs, run));
  }

  after(delayMs: number, run: () => void): { stop(): void } {
    if (this.#over) return stopped;
    const handle = this.#own(
      this.#timers.after(delayMs, () => {
        this.#running.delete(handle);
        run();
      }),
    );
    return handle;
  }

  /** Stops all timers; those asked for later never run. */
  stopAll(): void {
    this.#over = true;
    for (const handle of [...this.#running]) handle.stop();
  }

  #own(timer: { stop(): void }): { stop(): void } {
    const handle = {
      stop: () => {
        this.#running.delete(handle);
        timer.stop();
      },
    };
    this.#running.add(handle);
    return handle;
  }
}

const stopped = { stop: () => {} };
