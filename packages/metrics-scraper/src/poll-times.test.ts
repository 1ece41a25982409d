import fc from "fast-check";
import { expect, test } from "vitest";
import { backOffMs, nextPollMs, pollPhase } from "./poll-times.ts";

const fraction = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });

test.each([2, 10, 100, 777])("the phases of %i polls cover the interval without holes or heaps", (count) => {
  const phases = Array.from({ length: count }, (_, number) => pollPhase(number)).sort((a, b) => a - b);
  const gaps = phases.map((phase, index) => (phases[index + 1] ?? phases[0]! + 1) - phase);
  expect(Math.max(...gaps)).toBeLessThan(2 / count);
  expect(Math.min(...gaps)).toBeGreaterThan(0.2 / count);
});

test("without jitter polls stand on the grid of their phase", () => {
  const next = (startedMs: number, nowMs: number): number =>
    nextPollMs({ startedMs, nowMs, intervalMs: 50, phase: 0.2, random: 0.5 });
  expect(next(1010, 1012)).toBe(1060);
  expect(next(1060, 1062)).toBe(1110);
});

test("the poll after the first one keeps some distance, then joins the grid", () => {
  expect(nextPollMs({ startedMs: 1005, nowMs: 1006, intervalMs: 50, phase: 0.2, random: 0.5 })).toBe(1060);
  expect(nextPollMs({ startedMs: 1030, nowMs: 1031, intervalMs: 50, phase: 0.2, random: 0.5 })).toBe(1060);
});

test("points of the grid that a slow poll ran past are left out", () => {
  expect(nextPollMs({ startedMs: 1010, nowMs: 1175, intervalMs: 50, phase: 0.2, random: 0.5 })).toBe(1210);
});

test("the next poll is never in the past, never close to the last and at most two intervals away", () => {
  fc.assert(
    fc.property(
      fc.double({ min: 0, max: 1e9, noNaN: true }),
      fc.double({ min: 0, max: 5000, noNaN: true }),
      fc.integer({ min: 1, max: 60_000 }),
      fraction,
      fraction,
      (startedMs, tookMs, intervalMs, phase, random) => {
        const nowMs = startedMs + tookMs;
        const next = nextPollMs({ startedMs, nowMs, intervalMs, phase, random });
        expect(next).toBeGreaterThanOrEqual(nowMs);
        expect(next - startedMs).toBeGreaterThanOrEqual(0.39 * intervalMs);
        expect(next - nowMs).toBeLessThanOrEqual(1.7 * intervalMs + 1e-3);
      },
    ),
  );
});

test("failures wait longer each time, up to the limit of their kind", () => {
  const waits = (kind: "unreachable" | "silent" | "bad-answer" | "local"): number[] =>
    [1, 2, 3, 4, 5, 6, 7, 8, 50].map((failures) => backOffMs(kind, failures, 50, 0));
  expect(waits("unreachable")).toEqual([100, 200, 400, 800, 1000, 1000, 1000, 1000, 1000]);
  expect(waits("silent")).toEqual([100, 200, 400, 800, 1600, 3200, 5000, 5000, 5000]);
  expect(waits("bad-answer")).toEqual([100, 200, 400, 800, 1600, 2000, 2000, 2000, 2000]);
  expect(waits("local")).toEqual([100, 200, 400, 800, 1600, 2000, 2000, 2000, 2000]);
});

test("a failing endpoint is never polled more often than a healthy one", () => {
  fc.assert(
    fc.property(
      fc.constantFrom("unreachable" as const, "silent" as const, "bad-answer" as const, "local" as const),
      fc.integer({ min: 1, max: 10_000 }),
      fc.integer({ min: 1, max: 60_000 }),
      fraction,
      (kind, failures, intervalMs, random) => {
        const waitMs = backOffMs(kind, failures, intervalMs, random);
        expect(waitMs).toBeGreaterThanOrEqual(intervalMs);
        expect(waitMs).toBeLessThanOrEqual(Math.max(intervalMs, 5000));
      },
    ),
  );
});
