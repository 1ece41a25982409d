import type { Timers } from "@pointsman/core";

/** Timers of the process, which do not keep it alive. */
export const realTimers: Timers = {
  every(intervalMs, run) {
    const timer = setInterval(run, intervalMs).unref();
    return { stop: () => clearInterval(timer) };
  },
  after(delayMs, run) {
    const timer = setTimeout(run, delayMs).unref();
    return { stop: () => clearTimeout(timer) };
  },
};
