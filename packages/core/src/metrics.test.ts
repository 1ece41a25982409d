import { expect, test } from "vitest";
import { silentLogger } from "./logger.ts";
import { noMetrics } from "./metrics.ts";

test("the registry that records nothing takes every call", () => {
  const options = { name: "some_total", help: "Some.", labelNames: ["a"] };
  noMetrics.counter(options).labels("x").inc(2);
  const gauge = noMetrics.gauge(options).labels("x");
  gauge.set(1);
  gauge.inc();
  gauge.dec();
  const family = noMetrics.histogram({ ...options, buckets: [1] });
  family.labels("x").observe(3);
  expect(family.remove("x")).toBeUndefined();
});

test("the silent logger writes at no level and has itself as child", () => {
  for (const level of ["error", "warn", "info", "debug"] as const) {
    expect(silentLogger.isLevelEnabled(level)).toBe(false);
    silentLogger[level]({}, "nothing");
  }
  expect(silentLogger.child({ a: 1 })).toBe(silentLogger);
});
