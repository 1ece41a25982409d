import fc from "fast-check";
import { expect, test } from "vitest";
import { Stalls } from "./stalls.ts";

test("work is interrupted for as long as a stall lasts, and waits for the end of one that is under way", () => {
  const make = () => new Stalls([{ atMs: 100, forMs: 50 }]);
  expect(make().endOf(0, 100)).toBe(100);
  expect(make().endOf(0, 101)).toBe(151);
  expect(make().endOf(90, 20)).toBe(160);
  expect(make().endOf(100, 20)).toBe(170);
  expect(make().endOf(120, 20)).toBe(170);
  expect(make().endOf(150, 20)).toBe(170);
  expect(make().endOf(200, 20)).toBe(220);
});

test("however stalls overlap, a piece of work gets all its time outside of them, and none within", () => {
  const stall = fc.record({ atMs: fc.nat(60), forMs: fc.integer({ min: 1, max: 15 }) });
  const work = fc.record({ idleMs: fc.nat(10), workMs: fc.integer({ min: 1, max: 20 }) });
  fc.assert(
    fc.property(fc.array(stall, { maxLength: 6 }), fc.array(work, { maxLength: 8 }), (list, pieces) => {
      const stalls = new Stalls(list);
      const isStalled = (ms: number): boolean => list.some(({ atMs, forMs }) => ms >= atMs && ms < atMs + forMs);
      let nowMs = 0;
      for (const { idleMs, workMs } of pieces) {
        nowMs += idleMs;
        let expectedMs = nowMs;
        for (let left = workMs; left > 0; expectedMs++) if (!isStalled(expectedMs)) left--;
        nowMs = stalls.endOf(nowMs, workMs);
        expect(nowMs).toBe(expectedMs);
      }
    }),
  );
});
