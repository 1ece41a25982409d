import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { type Logger, silentLogger } from "./logger.ts";
import { createTimers } from "./process-timers.ts";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

test("a callback that fails is logged with its owner, and its timer goes on", () => {
  const errors: unknown[] = [];
  const logger: Logger = { ...silentLogger, error: (fields) => errors.push(fields) };
  let runs = 0;
  createTimers("the owner", logger).every(10, () => {
    runs++;
    throw new Error("no luck");
  });
  vi.advanceTimersByTime(35);
  expect(runs).toBe(3);
  expect(errors).toHaveLength(3);
  expect(errors[0]).toMatchObject({ owner: "the owner", problem: "no luck" });
});

test("a delay that is too long for the platform does not become a short one", () => {
  const timers = createTimers("owner", silentLogger);
  const ran: string[] = [];
  for (const delayMs of [2 ** 31, 1e12, Number.POSITIVE_INFINITY]) {
    timers.after(delayMs, () => ran.push("after"));
    timers.every(delayMs, () => ran.push("every"));
  }
  vi.advanceTimersByTime(24 * 24 * 3_600_000);
  expect(ran).toEqual([]);
  timers.stopAll();
});

test("what is stopped runs no more, one by one and all together", () => {
  const timers = createTimers("owner", silentLogger);
  const ran: string[] = [];
  const stopped = timers.after(10, () => ran.push("stopped"));
  timers.after(10, () => ran.push("once"));
  timers.every(10, () => ran.push("every"));
  stopped.stop();
  vi.advanceTimersByTime(25);
  expect(ran).toEqual(["once", "every", "every"]);
  timers.after(10, () => ran.push("late"));
  timers.stopAll();
  vi.advanceTimersByTime(100);
  expect(ran).toHaveLength(3);
});
