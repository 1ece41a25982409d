import type { Timers } from "./clock.ts";
import { errorText } from "./errors.ts";
import type { Logger } from "./logger.ts";

/** Timers of one owner on the process's event loop. They do not keep the process alive. */
export interface OwnedTimers extends Timers {
  stopAll(): void;
}

/** Makes the timers of an owner; `owner` is its name in the log. */
export function createTimers(owner: string, logger: Logger): OwnedTimers {
  const running = new Set<NodeJS.Timeout>();
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
  const stopper = (timer: NodeJS.Timeout): { stop(): void } => ({
    stop: () => {
      clearTimeout(timer);
      running.delete(timer);
    },
  });
  return {
    every(intervalMs, run) {
      const timer = setInterval(guarded(run), intervalMs);
      timer.unref();
      running.add(timer);
      return stopper(timer);
    },
    after(delayMs, run) {
      const timer = setTimeout(() => {
        running.delete(timer);
        guarded(run)();
      }, delayMs);
      timer.unref();
      running.add(timer);
      return stopper(timer);
    },
    stopAll() {
      for (const timer of running) clearTimeout(timer);
      running.clear();
    },
  };
}
