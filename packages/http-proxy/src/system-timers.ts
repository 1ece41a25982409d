import { maxDelayMs, type Timers } from "@pointsman/core";

/** Timers of the running process that do not keep it alive. */
export const systemTimers: Timers = {
  every(intervalMs, run) {
    const timer = setInterval(run, Math.min(intervalMs, maxDelayMs)).unref();
    return { stop: () => clearInterval(timer) };
  },
  after(delayMs, run) {
    const timer = setTimeout(run, Math.min(delayMs, maxDelayMs)).unref();
    return { stop: () => clearTimeout(timer) };
  },
};
