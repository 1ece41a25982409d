import { FakeClock, seededRandom } from "@pointsman/testkit";
import fc from "fast-check";
import { expect, test } from "vitest";
import { Schedule, type Scheduled } from "./schedule.ts";

class Item implements Scheduled {
  dueMs = 0;
  place = -1;
  readonly ran: number[] = [];
  readonly #onRun: (nowMs: number) => void;

  constructor(onRun: (nowMs: number) => void = () => {}) {
    this.#onRun = onRun;
  }

  runDue(nowMs: number): void {
    this.ran.push(nowMs);
    this.#onRun(nowMs);
  }
}

function newSchedule(): { clock: FakeClock; schedule: Schedule; startMs: number } {
  const clock = new FakeClock();
  return { clock, schedule: new Schedule(clock, clock.timers), startMs: clock.now() };
}

test("an item runs at its time and not before", () => {
  const { clock, schedule, startMs } = newSchedule();
  const item = new Item();
  schedule.set(item, startMs + 50);
  clock.advance(45);
  expect(item.ran).toEqual([]);
  clock.advance(5);
  expect(item.ran).toEqual([startMs + 50]);
  expect(schedule.size).toBe(0);
});

test("an item that was moved runs once, at the new time", () => {
  const { clock, schedule, startMs } = newSchedule();
  const item = new Item();
  schedule.set(item, startMs + 50);
  schedule.set(item, startMs + 20);
  clock.advance(20);
  expect(item.ran).toEqual([startMs + 20]);
  schedule.set(item, startMs + 100);
  schedule.set(item, startMs + 200);
  clock.advance(170);
  expect(item.ran).toHaveLength(1);
  clock.advance(10);
  expect(item.ran).toEqual([startMs + 20, startMs + 200]);
});

test("an item that was taken out does not run", () => {
  const { clock, schedule, startMs } = newSchedule();
  const items = [new Item(), new Item(), new Item()];
  for (const [index, item] of items.entries()) schedule.set(item, startMs + 10 * (index + 1));
  schedule.remove(items[0]!);
  schedule.remove(items[0]!);
  clock.advance(100);
  expect(items.map(({ ran }) => ran.length)).toEqual([0, 1, 1]);
});

test("an item may put itself back while it runs", () => {
  const { clock, schedule, startMs } = newSchedule();
  const item: Item = new Item((nowMs) => schedule.set(item, nowMs + 50));
  schedule.set(item, startMs);
  for (let i = 0; i < 40; i++) clock.advance(5);
  expect(item.ran).toEqual([startMs, startMs + 50, startMs + 100, startMs + 150, startMs + 200]);
});

test("many items due at once run in portions, so that other work gets its turn between them", () => {
  const timers: (() => void)[] = [];
  const clock = new FakeClock();
  const schedule = new Schedule(clock, {
    after: (_delayMs, run) => {
      timers.push(run);
      return { stop: () => {} };
    },
  });
  const items = Array.from({ length: 100 }, () => new Item());
  for (const item of items) schedule.set(item, clock.now());
  const ranAfterEachTimer: number[] = [];
  for (let run = timers.shift(); run !== undefined; run = timers.shift()) {
    run();
    ranAfterEachTimer.push(items.filter(({ ran }) => ran.length === 1).length);
  }
  expect(ranAfterEachTimer).toEqual([32, 64, 96, 100]);
});

test("clear leaves no timer and runs nothing", () => {
  const { clock, schedule, startMs } = newSchedule();
  const item = new Item();
  schedule.set(item, startMs + 10);
  schedule.clear();
  expect(clock.pendingTimers).toBe(0);
  clock.advance(100);
  expect(item.ran).toEqual([]);
  schedule.set(item, clock.now());
  clock.advance(0);
  expect(item.ran).toHaveLength(1);
});

test("whatever is set, moved and taken out: every item left runs once, on time, with one timer at most", () => {
  fc.assert(
    fc.property(fc.integer(), fc.integer({ min: 1, max: 200 }), (seed, steps) => {
      const random = seededRandom(seed);
      const { clock, schedule, startMs } = newSchedule();
      const items = Array.from({ length: 20 }, () => new Item());
      const due = new Map<Item, number>();
      for (let i = 0; i < steps; i++) {
        const item = items[Math.floor(random() * items.length)]!;
        if (random() < 0.3) {
          schedule.remove(item);
          due.delete(item);
        } else {
          const dueMs = startMs + 10 + Math.floor(random() * 1000);
          schedule.set(item, dueMs);
          due.set(item, dueMs);
        }
        expect(schedule.size).toBe(due.size);
        expect(clock.pendingTimers).toBeLessThanOrEqual(1);
      }
      clock.advance(2000);
      for (const item of items) {
        const dueMs = due.get(item);
        expect(item.ran).toHaveLength(dueMs === undefined ? 0 : 1);
        if (dueMs === undefined) continue;
        // Items due within two milliseconds run together.
        expect(item.ran[0]).toBeGreaterThanOrEqual(dueMs - 2);
        expect(item.ran[0]).toBeLessThanOrEqual(dueMs);
      }
    }),
  );
});

test("an item beyond the longest timer of Node is waited for in steps", () => {
  const clock = new FakeClock();
  const delaysMs: number[] = [];
  const schedule = new Schedule(clock, {
    after(delayMs, run) {
      delaysMs.push(delayMs);
      return clock.timers.after(delayMs, run);
    },
  });
  const item = new Item();
  schedule.set(item, clock.now() + 2 ** 31 + 5);
  clock.advance(2 ** 31);
  expect(item.ran).toEqual([]);
  clock.advance(5);
  expect(item.ran).toHaveLength(1);
  expect(delaysMs).toEqual([2 ** 31 - 1, 6]);
});
