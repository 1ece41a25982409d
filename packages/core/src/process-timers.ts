import { maxDelayMs, type Timers } from "./clock.ts";
import { errorText } from "./errors.ts";
import type { Logger } from "./logger.ts";

/** Timers of one owner on the process's event loop. They do not keep the process alive. */
export interface OwnedTimers extends Timers {
  stopAll(): void;
}

interface Running {
  readonly timer: NodeJS.Timeout;
  /** Index among those that run; -1 when it does not. */
  place: number;
}

/** Makes the timers of an owner; `owner` is its name in the log. Delays of more than 24 days end after 24 days. */
export function createTimers(owner: string, logger: Logger): OwnedTimers {
  // An array in which each knows its place, not a Set: the tables that a Set outgrows keep what was in them in V8's old
  // generation, and the scraper sets hundreds of timers a second.
  const running: Running[] = [];
  const add = (timer: NodeJS.Timeout): Running => {
    timer.unref();
    const entry = { timer, place: running.length };
    running.push(entry);
    return entry;
  };
  const remove = (entry: Running): void => {
    const { place } = entry;
    if (place < 0) return;
    entry.place = -1;
    const last = running.pop()!;
    if (last === entry) return;
    running[place] = last;
    last.place = place;
  };
  const guarded = (run: () => void) => (): void => {
    try {
      run();
    } catch (thrown: unknown) {
      logger.error(
        { owner, problem: errorText(thrown), stack: thrown instanceof Error ? thrown.stack : undefined },
        "timer callback failed",
      );
    }
  };
  const stopper = (entry: Running): { stop(): void } => ({
    stop: () => {
      clearTimeout(entry.timer);
      remove(entry);
    },
  });
  return {
    every(intervalMs, run) {
      return stopper(add(setInterval(guarded(run), Math.min(intervalMs, maxDelayMs))));
    },
    after(delayMs, run) {
      const guardedRun = guarded(run);
      const entry = add(
        setTimeout(
          () => {
            remove(entry);
            guardedRun();
          },
          Math.min(delayMs, maxDelayMs),
        ),
      );
      return stopper(entry);
    },
    stopAll() {
      for (const entry of running) {
        clearTimeout(entry.timer);
        entry.place = -1;
      }
      running.length = 0;
    },
  };
}
