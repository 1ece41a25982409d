import { expect, test } from "vitest";
import { systemClock } from "./clock.ts";

test("the system's monotonic time does not go back, and its wall time is that of the epoch", () => {
  const before = Date.now();
  const first = systemClock.now();
  const wall = systemClock.wallTime();
  expect(systemClock.now()).toBeGreaterThanOrEqual(first);
  expect(wall).toBeGreaterThanOrEqual(before);
  expect(wall).toBeLessThanOrEqual(Date.now());
});
