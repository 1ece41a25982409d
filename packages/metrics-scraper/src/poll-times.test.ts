import fc from "fast-check";
import { expect, test } from "vitest";
import { backOffMs, nextPollMs, pollPlace } from "./poll-times.ts";

const fraction = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });

test.each([8, 40, 100, 777])("the places of %i polls cover the interval without holes, four polls at each", (count) => {
  const places = Array.from({ length: count }, (_, number) => pollPlace(number));
  const phases = [...new Map(places.map(({ group, phase }) => [group, phase])).values()].sort((a, b) => a - b);
  expect(phases).toHaveLength(Math.ceil(count / 4));
  const gaps = phases.map((phase, index) => (phases[index + 1] ?? phases[0]! + 1) - phase);
  expect(Math.max(...gaps)).toBeLessThan(2 / phases.length);
  expect(Math.min(...gaps)).toBeGreaterThan(0.2 / phases.length);
});

/** Polls every 50 ms, a fifth into the interval. */
const fifth = { intervalMs: 50, place: { group: 3, phase: 0.2 } };
const distance = (ms: number): number => Math.abs(((ms - 10 + 25) % 50) - 25);

test("polls stand on the grid of their phase, up to a tenth of the interval early or late", () => {
  const moves: number[] = [];
  let startedMs = 1010;
  for (let poll = 0; poll < 1000; poll++) {
    const nextMs = nextPollMs({ ...fifth, startedMs, nowMs: startedMs + 2, seed: 7 });
    expect(nextMs - startedMs).toBeGreaterThan(39.9);
    expect(nextMs - startedMs).toBeLessThan(60.1);
    moves.push(distance(nextMs));
    startedMs = nextMs;
  }
  expect(Math.max(...moves)).toBeLessThanOrEqual(5);
  expect(Math.max(...moves)).toBeGreaterThan(4.9);
  expect(Math.min(...moves)).toBeLessThan(0.1);
  expect(moves.reduce((sum, move) => sum + move, 0) / moves.length).toBeCloseTo(2.5, 0);
});

test("the polls of a group are moved alike, those of other groups and processes in their own ways", () => {
  const next = (group: number, seed: number, startedMs = 1010): number =>
    nextPollMs({ startedMs, nowMs: startedMs + 2, intervalMs: 50, place: { group, phase: 0.2 }, seed });
  expect(next(3, 7, 1014)).toBe(next(3, 7));
  const moves = Array.from({ length: 200 }, (_, at) => [next(at, 7), next(3, at)]).flat();
  // 3 with 7 is among both.
  expect(new Set(moves).size).toBe(moves.length - 1);
});

test("the poll after the first one keeps some distance, then joins the grid", () => {
  for (const startedMs of [1005, 1030]) {
    const nextMs = nextPollMs({ ...fifth, startedMs, nowMs: startedMs + 1, seed: 7 });
    expect(Math.abs(nextMs - 1060)).toBeLessThanOrEqual(5);
  }
});

test("points of the grid that a slow poll ran past are left out", () => {
  const nextMs = nextPollMs({ ...fifth, startedMs: 1010, nowMs: 1175, seed: 7 });
  expect(Math.abs(nextMs - 1210)).toBeLessThanOrEqual(5);
});

test("the next poll is never in the past, never close to the last and at most two intervals away", () => {
  fc.assert(
    fc.property(
      fc.double({ min: 0, max: 1e9, noNaN: true }),
      fc.double({ min: 0, max: 5000, noNaN: true }),
      fc.integer({ min: 1, max: 60_000 }),
      fraction,
      fc.nat(10_000),
      fc.maxSafeNat(),
      (startedMs, tookMs, intervalMs, phase, group, seed) => {
        const nowMs = startedMs + tookMs;
        const next = nextPollMs({ startedMs, nowMs, intervalMs, place: { group, phase }, seed });
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
