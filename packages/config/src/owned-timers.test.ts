import { FakeClock } from "@pointsman/testkit";
import { expect, test } from "vitest";
import { OwnedTimers } from "./owned-timers.ts";

test("timers run as asked for until stopped", () => {
  const clock = new FakeClock();
  const timers = new OwnedTimers(clock.timers);
  const runs: string[] = [];
  const every = timers.every(10, () => runs.push("every"));
  timers.after(15, () => runs.push("after"));
  timers.after(15, () => runs.push("never")).stop();
  clock.advance(25);
  every.stop();
  clock.advance(100);
  expect(runs).toEqual(["every", "after", "every"]);
  expect(clock.pendingTimers).toBe(0);
});

test("stopping all leaves nothing, and nothing starts afterwards", () => {
  const clock = new FakeClock();
  const timers = new OwnedTimers(clock.timers);
  let runs = 0;
  timers.every(10, () => runs++);
  timers.after(10, () => runs++);
  timers.stopAll();
  timers.every(10, () => runs++).stop();
  timers.after(10, () => runs++);
  clock.advance(100);
  expect(runs).toBe(0);
  expect(clock.pendingTimers).toBe(0);
});
