/** Timers started through the globals `setTimeout` and `setInterval` while tracking. */
export interface TrackedTimers {
  /** Started, not run out and not cleared. */
  readonly pending: number;
  /** Puts the globals back. */
  restore(): void;
}

/** Replaces the global timer functions by ones that count. Nothing else may replace them until `restore`. */
export function trackTimers(): TrackedTimers {
  const { setTimeout: startTimeout, setInterval: startInterval, clearTimeout: stopTimer } = globalThis;
  const { clearInterval: stopInterval } = globalThis;
  const pending = new Set<unknown>();
  const replacements = {
    setTimeout: (run: (...args: unknown[]) => void, delayMs?: number, ...args: unknown[]) => {
      const timer = startTimeout(() => {
        pending.delete(timer);
        run(...args);
      }, delayMs);
      pending.add(timer);
      return timer;
    },
    setInterval: (run: (...args: unknown[]) => void, periodMs?: number, ...args: unknown[]) => {
      const timer = startInterval(() => run(...args), periodMs);
      pending.add(timer);
      return timer;
    },
    clearTimeout: (timer: NodeJS.Timeout | undefined) => {
      pending.delete(timer);
      stopTimer(timer);
    },
    clearInterval: (timer: NodeJS.Timeout | undefined) => {
      pending.delete(timer);
      stopTimer(timer);
    },
  };
  Object.assign(globalThis, replacements);
  return {
    get pending() {
      return pending.size;
    },
    restore: () => {
      for (const timer of pending) stopTimer(timer as NodeJS.Timeout);
      Object.assign(globalThis, {
        setTimeout: startTimeout,
        setInterval: startInterval,
        clearTimeout: stopTimer,
        clearInterval: stopInterval,
      });
    },
  };
}
