import { expect, test } from "vitest";
import { ImbalanceMeter } from "./imbalance-meter.ts";

test("equal servers are balanced; one that has all of two servers' requests gives 1", () => {
  const meter = new ImbalanceMeter(2);
  meter.measure(0, true);
  meter.change(0, 0, 1);
  meter.change(10, 1, 1);
  meter.change(30, 1, -1);
  // 10 ms with [1, 0], 20 ms with [1, 1], 10 ms with [1, 0].
  meter.measure(40, false);
  expect(meter.imbalance).toBeCloseTo(0.5, 12);
});

test("time in which nothing is there, or nothing is measured, does not count", () => {
  const meter = new ImbalanceMeter(2);
  expect(meter.imbalance).toBe(0);
  meter.change(0, 0, 1);
  meter.measure(100, true);
  meter.change(110, 1, 1);
  meter.change(110, 0, -1);
  meter.change(120, 1, -1);
  meter.measure(5000, false);
  meter.change(6000, 0, 1);
  meter.change(6000, 1, 1);
  meter.measure(9000, false);
  expect(meter.imbalance).toBe(1);
});
