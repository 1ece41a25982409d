import { expect, test } from "vitest";
import { createLogger, createPrometheusMetrics, levelOfVerbosity } from "./index.ts";

test("a log line is one JSON object with level, time in seconds, message and fields", () => {
  const lines: string[] = [];
  const logger = createLogger({ level: "info", destination: { write: (line) => lines.push(line) } });
  logger.child({ logger: "scraper" }).warn({ endpoint: "default/a" }, "endpoint does not answer");
  logger.debug({}, "left out");
  expect(lines).toHaveLength(1);
  const line = JSON.parse(lines[0]!) as Record<string, unknown>;
  expect(line).toMatchObject({
    level: "warn",
    msg: "endpoint does not answer",
    endpoint: "default/a",
    logger: "scraper",
  });
  expect(Math.abs((line["ts"] as number) - Date.now() / 1000)).toBeLessThan(60);
});

test.each([
  [0, "info"],
  [2, "info"],
  [3, "info"],
  [4, "debug"],
  [7, "debug"],
])("verbosity %d logs at %s", (verbosity, level) => {
  expect(levelOfVerbosity(verbosity)).toBe(level);
});

test("asking twice for a metric gives the same series, with and without labels", async () => {
  const metrics = createPrometheusMetrics({ processMetrics: false });
  metrics.counter({ name: "a_total", help: "A." }).labels().inc(2);
  metrics.counter({ name: "a_total", help: "A." }).labels().inc();
  const gauge = metrics.gauge({ name: "b", help: "B.", labelNames: ["x"] });
  gauge.labels("1").set(4);
  gauge.labels("2").set(5);
  gauge.remove("2");
  metrics
    .histogram({ name: "c_seconds", help: "C.", labelNames: ["x"], buckets: [1, 2] })
    .labels("y")
    .observe(1.5);
  metrics.beforePage(() => gauge.labels("1").inc());
  const page = await metrics.page();
  expect(page).toContain("a_total 3\n");
  expect(page).toContain('b{x="1"} 5\n');
  expect(page).not.toContain('b{x="2"}');
  expect(page).toContain('c_seconds_bucket{le="2",x="y"} 1\n');
});
