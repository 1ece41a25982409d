/** One pending call that can be moved or taken back. Setting it again replaces the earlier time. */
export interface Alarm {
  /** Calls the task once, not before `atMs`; a time in the past means as soon as possible. */
  set(atMs: number): void;
  clear(): void;
}

/** The time the simulation runs on. All `Ms` values of the engine are milliseconds of this clock. */
export interface Clock {
  /** Simulated milliseconds since an arbitrary start. Never goes back. */
  nowMs(): number;
  /** Wall time in seconds since 1970, for `created` fields and metric values that are timestamps. */
  unixSeconds(): number;
  alarm(task: () => void): Alarm;
}

const longestTimeoutMs = 2_147_483_647;

/** The machine's clock, running `timeScale` times as fast as the wall. Timers have a grain of 1 ms of wall time. */
export function scaledClock(timeScale: number): Clock {
  const nowMs = () => performance.now() * timeScale;
  return {
    nowMs,
    unixSeconds: () => Date.now() / 1000,
    alarm(task) {
      let timeout: NodeJS.Timeout | undefined;
      let immediate: NodeJS.Immediate | undefined;
      const clear = () => {
        if (timeout !== undefined) clearTimeout(timeout);
        if (immediate !== undefined) clearImmediate(immediate);
        timeout = undefined;
        immediate = undefined;
      };
      const fire = () => {
        timeout = undefined;
        immediate = undefined;
        task();
      };
      return {
        clear,
        set(atMs) {
          clear();
          const wallMs = (atMs - nowMs()) / timeScale;
          if (wallMs <= 0) immediate = setImmediate(fire);
          else timeout = setTimeout(fire, Math.min(Math.ceil(wallMs), longestTimeoutMs));
        },
      };
    },
  };
}
