import { expect, test } from "vitest";
import { PluginProblems } from "./plugin-problems.ts";

test("the first problem of each plugin is kept, on one line, of bounded length", () => {
  const problems = new PluginProblems();
  problems.note("reader", "no series\n  a");
  problems.note("reader", "no series b");
  problems.threw("scorer", "failed", new Error("x".repeat(1000)));
  expect([...problems.first]).toEqual([
    ["reader", "no series a"],
    ["scorer", `failed: ${"x".repeat(492)}`],
  ]);
});

test("no more than 100 plugins are kept", () => {
  const problems = new PluginProblems();
  for (let i = 0; i < 200; i++) problems.note(`plugin ${i}`, "fails");
  expect(problems.first.size).toBe(100);
});

test("errors of a logger count for the plugin that they or its parents name, other lines for none", () => {
  const problems = new PluginProblems();
  const logger = problems.logger();
  const ofPlugin = logger.child({ plugin: "producer", pluginType: "some-producer" });
  ofPlugin.warn({}, "is deprecated");
  ofPlugin.child({ endpoint: "a" }).error({ error: "refused" }, "cannot connect; is retried");
  logger.error({ owner: "timed", problem: "late" }, "timer callback failed");
  logger.error({ listener: "heard" }, "a listener failed; others are not affected");
  logger.error({ plugin: "scorer", extensionPoint: "Scorer", problem: "threw", cause: "no" }, "plugin call failed");
  logger.error({}, "odd");
  expect(Object.fromEntries(problems.first)).toEqual({
    producer: "cannot connect: refused",
    timed: "timer callback failed: late",
    heard: "a listener failed",
    scorer: "Scorer: plugin call failed: threw: no",
    picker: "odd",
  });
  expect([logger.isLevelEnabled("error"), logger.isLevelEnabled("warn")]).toEqual([true, false]);
});
