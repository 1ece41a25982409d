import type { Timers } from "@pointsman/core";

const lookMs = 50;

/**
 * Resolves when the drain window is over: after `timeoutMs`, or, unless the window is kept whole, as soon as nothing is
 * open.
 */
export function drainWindow(options: {
  readonly timeoutMs: number;
  readonly whole: boolean;
  /** Streams and requests that are open. */
  readonly open: () => number;
  readonly timers: Timers;
}): Promise<void> {
  const { timeoutMs, whole, open, timers } = options;
  if (timeoutMs <= 0 || (!whole && open() === 0)) return Promise.resolve();
  return new Promise((resolve) => {
    const looks = whole
      ? undefined
      : timers.every(lookMs, () => {
          if (open() === 0) end();
        });
    const timeout = timers.after(timeoutMs, () => end());
    const end = (): void => {
      looks?.stop();
      timeout.stop();
      resolve();
    };
  });
}
