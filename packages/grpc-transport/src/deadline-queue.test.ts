import { array, boolean, assert as check, integer, property, tuple } from "fast-check";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { type Deadline, DeadlineQueue } from "./deadline-queue.ts";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

test("what is not removed happens in order, at its time", () => {
  void check(
    property(array(tuple(integer({ min: 0, max: 500 }), boolean()), { maxLength: 80 }), (entries) => {
      let nowMs = 0;
      const passed: number[] = [];
      const queue = new DeadlineQueue(() => nowMs);
      const items = entries.map(([deadlineMs]): Deadline => {
        const item: Deadline = {
          deadlineMs,
          deadlineSlot: -1,
          deadlinePassed: () => {
            expect(nowMs).toBeGreaterThanOrEqual(deadlineMs);
            passed.push(deadlineMs);
          },
        };
        queue.add(item);
        return item;
      });
      entries.forEach(([, removed], at) => {
        if (removed) queue.remove(items[at]!);
      });
      for (; nowMs <= 502; nowMs++) vi.advanceTimersByTime(1);
      const kept = entries.filter(([, removed]) => !removed).map(([deadlineMs]) => deadlineMs);
      expect(passed).toEqual(kept.sort((a, b) => a - b));
      expect(queue.size).toBe(0);
      expect(items.every((item) => item.deadlineSlot === -1)).toBe(true);
    }),
  );
});

test("a deadline beyond the longest timer does not happen early", () => {
  let nowMs = 0;
  let count = 0;
  const queue = new DeadlineQueue(() => nowMs);
  queue.add({ deadlineMs: 1e12, deadlineSlot: -1, deadlinePassed: () => count++ });
  nowMs = 0x7fffffff;
  vi.advanceTimersByTime(0x7fffffff);
  expect([count, queue.size]).toEqual([0, 1]);
  queue.clear();
  expect(vi.getTimerCount()).toBe(0);
});
