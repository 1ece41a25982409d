import fc from "fast-check";
import { expect, test } from "vitest";
import { FakeClock } from "../../test/testkit.ts";
import { RequestError } from "../request-error.ts";
import { DecisionLog } from "./decision-log.ts";

test("a log of capacity 0 keeps nothing", () => {
  const log = new DecisionLog(0, new FakeClock());
  expect(log.begin()).toBeUndefined();
  expect(log.recent(10)).toEqual([]);
});

test("a record starts empty, with the wall time and the next number", () => {
  const clock = new FakeClock(0, 1_700_000_000_000);
  const log = new DecisionLog(2, clock);
  clock.advance(250);
  expect(log.begin()).toMatchObject({ sequence: 1, atWallMs: 1_700_000_000_250, outcome: undefined, profiles: [] });
  expect(log.begin()).toMatchObject({ sequence: 2 });
});

test("the last decisions come back newest first, whatever was forgotten before", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 7 }),
      fc.array(fc.boolean(), { maxLength: 30 }),
      fc.nat(10),
      (capacity, finished, limit) => {
        const log = new DecisionLog(capacity, new FakeClock());
        const sequences: number[] = [];
        for (const [i, isFinished] of finished.entries()) {
          const trace = log.begin()!;
          if (isFinished) trace.outcome = "routed";
          if (isFinished && i >= finished.length - capacity) sequences.unshift(trace.sequence);
        }
        expect(log.recent(limit).map((trace) => trace.sequence)).toEqual(sequences.slice(0, limit));
      },
    ),
  );
});

test("records are chosen before the limit applies", () => {
  const log = new DecisionLog(8, new FakeClock());
  for (let i = 0; i < 6; i++) {
    const trace = log.begin()!;
    trace.outcome = i % 2 === 0 ? "routed" : new RequestError("NotFound", "none");
  }
  expect(log.recent(2, (trace) => trace.outcome === "routed").map((trace) => trace.sequence)).toEqual([5, 3]);
});
