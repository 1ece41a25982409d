import { FakeClock } from "@pointsman/testkit";
import { expect, test } from "vitest";
import { drainWindow } from "./drain-window.ts";

/** A window with what has become of it after its promise had its turn. */
function start(options: { readonly whole: boolean; readonly open: number; readonly timeoutMs?: number }) {
  const clock = new FakeClock();
  const state = { open: options.open, over: false };
  void drainWindow({
    timeoutMs: options.timeoutMs ?? 30_000,
    whole: options.whole,
    open: () => state.open,
    timers: clock.timers,
  }).then(() => {
    state.over = true;
  });
  const overAfter = async (byMs: number): Promise<boolean> => {
    clock.advance(byMs);
    await Promise.resolve();
    await Promise.resolve();
    return state.over;
  };
  return { clock, state, overAfter };
}

test("a whole window lasts its time, whether something is open or not", async () => {
  const { state, overAfter, clock } = start({ whole: true, open: 0 });
  expect(await overAfter(29_999)).toBe(false);
  state.open = 5;
  expect(await overAfter(1)).toBe(true);
  expect(clock.pendingTimers).toBe(0);
});

test("another window ends once nothing is open, and at the latest with its time", async () => {
  const first = start({ whole: false, open: 2 });
  expect(await first.overAfter(10_000)).toBe(false);
  first.state.open = 0;
  expect(await first.overAfter(50)).toBe(true);
  expect(first.clock.pendingTimers).toBe(0);
  const second = start({ whole: false, open: 2 });
  expect(await second.overAfter(29_999)).toBe(false);
  expect(await second.overAfter(1)).toBe(true);
});

test("no time and nothing open are no window", async () => {
  expect(await start({ whole: true, open: 3, timeoutMs: 0 }).overAfter(0)).toBe(true);
  expect(await start({ whole: false, open: 0 }).overAfter(0)).toBe(true);
});
