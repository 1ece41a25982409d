import { formatProblem, loadConfig } from "@pointsman/config";
import { noMetrics, silentLogger } from "@pointsman/core";
import { FakeClock } from "@pointsman/testkit";
import { expect, test } from "vitest";
import { builtinPlugins } from "../src/registry/builtins.gen.ts";
import { PluginRegistry } from "../src/registry/plugin-registry.ts";
import { leastConfigurations, leastConfigurationText } from "./least-configurations.ts";

test.each(Object.entries(leastConfigurations))("%s is created from a least configuration", async (type, each) => {
  const { means = type } = each;
  const text = leastConfigurationText(type, each);
  const clock = new FakeClock();
  const { problems, graph } = await loadConfig(
    { text, file: "epp.yaml", baseDirectory: import.meta.dirname },
    {
      resolver: new PluginRegistry(import.meta.dirname),
      allowExperimental: true,
      environment: {
        logger: silentLogger,
        metrics: noMetrics,
        clock,
        stalenessMs: 2000,
        random: () => 0.5,
        endpoints: () => [],
        timersFor: () => ({ ...clock.timers, stopAll: () => {} }),
      },
    },
  );
  // A plugin that this configuration does not put to use is created all the same; the document's kind is left out.
  const errors = problems.filter(
    ({ severity, code }) => severity === "error" && code !== "EPP_CONFIG_MISSING_PRODUCER",
  );
  expect(errors.map(formatProblem)).toEqual([]);
  if (graph !== undefined) expect(graph.plugins.map((plugin) => plugin.type)).toContain(means);
  await graph?.dispose();
});

test("every in-tree type that the Go picker has is in the table", () => {
  // Additions of Pointsman.
  const ours = new Set(["expected-latency-producer", "expected-latency-scorer", "decision-log-recorder"]);
  const inTree = builtinPlugins.flatMap(({ type, aliases }) => [type, ...aliases]).filter((type) => !ours.has(type));
  expect(inTree.filter((type) => !(type in leastConfigurations)).toSorted()).toEqual([]);
});
