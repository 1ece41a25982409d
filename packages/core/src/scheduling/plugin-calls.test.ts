import { expect, test } from "vitest";
import { RecordingLogger } from "../../test/recording-logger.ts";
import { RecordingMetrics } from "../../test/recording-metrics.ts";
import { named } from "../../test/testkit.ts";
import { EppBug } from "../errors.ts";
import { PluginCalls } from "./plugin-calls.ts";

function build(): { calls: PluginCalls; logger: RecordingLogger; metrics: RecordingMetrics } {
  const logger = new RecordingLogger();
  const metrics = new RecordingMetrics();
  return { calls: new PluginCalls(metrics, logger), logger, metrics };
}

const durations = "llm_d_epp_plugin_duration_seconds";
const failures = "llm_d_epp_plugin_failures_total";

test("durations are kept in seconds per extension point and plugin", () => {
  const { calls, metrics } = build();
  const plugin = { name: "my-queue", type: "queue-scorer", instance: {} };
  calls.observe("Scorer", plugin, 2);
  calls.observe("Scorer", plugin, 4);
  calls.observe("PreRequest", plugin, 8);
  calls.observe("Scorer", named({}, "other"), 16);
  expect(metrics.series(durations).map(({ labels, observations }) => [Object.values(labels), observations])).toEqual([
    [
      ["Scorer", "queue-scorer", "my-queue"],
      [0.002, 0.004],
    ],
    [["PreRequest", "queue-scorer", "my-queue"], [0.008]],
    [["Scorer", "other", "other"], [0.016]],
  ]);
});

test("the first failure of a kind is logged as an error with its cause, repeats at debug, all are counted", () => {
  const { calls, logger, metrics } = build();
  const plugin = named({}, "broken");
  const cause = new Error("the reason");
  for (let i = 0; i < 3; i++) calls.failed("Filter", plugin, "threw", cause);
  calls.failed("Filter", plugin, "picked nothing");
  calls.failed("Scorer", plugin, "threw", cause);
  calls.failed("Filter", named({}, "another"), "threw", cause);
  expect(
    logger.lines.map(({ level, fields }) => [level, fields["extensionPoint"], fields["plugin"], fields["problem"]]),
  ).toEqual([
    ["error", "Filter", "broken", "threw"],
    ["debug", "Filter", "broken", "threw"],
    ["debug", "Filter", "broken", "threw"],
    ["error", "Filter", "broken", "picked nothing"],
    ["error", "Scorer", "broken", "threw"],
    ["error", "Filter", "another", "threw"],
  ]);
  expect(logger.lines[0]!.fields).toMatchObject({ cause: "the reason", stack: cause.stack, pluginType: "broken" });
  expect(Object.keys(logger.lines[3]!.fields)).not.toContain("cause");
  expect(metrics.value(failures, { extension_point: "Filter", plugin_name: "broken" })).toBe(4);
  expect(metrics.value(failures)).toBe(6);
});

test("a thrown value that is no error is logged as text", () => {
  const { calls, logger } = build();
  calls.failed("Picker", named({}, "broken"), "threw", "just words");
  expect(logger.of("error")[0]!.fields).toMatchObject({ cause: "just words", stack: undefined });
});

test("a failure comes back as a bug that names the plugin and keeps the cause", () => {
  const { calls } = build();
  const cause = new Error("the reason");
  const bug = calls.failed("Filter", { name: "mine", type: "label-filter", instance: {} }, "threw", cause);
  expect(bug).toBeInstanceOf(EppBug);
  expect(bug).toMatchObject({ code: "EPP_BUG", message: 'plugin "mine" (label-filter) threw', cause });
});
