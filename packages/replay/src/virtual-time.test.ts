import { silentLogger } from "@pointsman/core";
import fc from "fast-check";
import { expect, test } from "vitest";
import { VirtualTime } from "./virtual-time.ts";

test("events run by time, those of one time in the order they were scheduled", () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 20 }), { maxLength: 200 }), (times) => {
      const time = new VirtualTime();
      const ran: { readonly atMs: number; readonly index: number }[] = [];
      times.forEach((atMs, index) => {
        time.at(atMs, () => ran.push({ atMs: time.now(), index }));
      });
      while (time.step());
      const expected = times
        .map((atMs, index) => ({ atMs, index }))
        .sort((a, b) => a.atMs - b.atMs || a.index - b.index);
      expect(ran).toEqual(expected);
    }),
  );
});

test("what is scheduled in the past runs now, after what was scheduled for now before it", () => {
  const time = new VirtualTime();
  const ran: string[] = [];
  time.at(10, () => {
    time.at(3, () => ran.push(`late at ${time.now()}`));
  });
  time.at(10, () => ran.push("second"));
  while (time.step());
  expect(ran).toEqual(["second", "late at 10"]);
});

test("a stopped event never runs and takes no time", () => {
  const time = new VirtualTime();
  const ran: number[] = [];
  const stopped = time.at(5, () => ran.push(5));
  time.at(9, () => ran.push(9));
  stopped.stop();
  expect(time.step()).toBe(true);
  expect([ran, time.now()]).toEqual([[9], 9]);
  expect(time.step()).toBe(false);
});

test("wall time passes as virtual time does", () => {
  const time = new VirtualTime();
  const startMs = time.wallTime();
  time.at(1234, () => undefined);
  time.step();
  expect(time.wallTime() - startMs).toBe(1234);
});

test("a timer repeats until it is stopped, also from within", () => {
  const time = new VirtualTime();
  const timers = time.timers("test", silentLogger);
  const ran: number[] = [];
  const every = timers.every(10, () => {
    ran.push(time.now());
    if (ran.length === 3) every.stop();
  });
  const outer = timers.every(4, () => undefined);
  timers.after(100, () => outer.stop());
  while (time.step());
  expect(ran).toEqual([10, 20, 30]);
  expect(time.now()).toBe(100);
});

test("an exception in a timer is logged under its owner's name; the timer and all others go on", () => {
  const time = new VirtualTime();
  const logged: unknown[] = [];
  const timers = time.timers("clumsy", { ...silentLogger, error: (...line) => logged.push(line) });
  const ran: number[] = [];
  const every = timers.every(10, () => {
    ran.push(time.now());
    if (ran.length === 3) every.stop();
    throw new Error(`at ${time.now()}`);
  });
  timers.after(15, () => {
    throw new Error("once");
  });
  while (time.step());
  expect(ran).toEqual([10, 20, 30]);
  expect(logged).toEqual(
    ["at 10", "once", "at 20", "at 30"].map((problem) => [{ owner: "clumsy", problem }, "timer callback failed"]),
  );
});
