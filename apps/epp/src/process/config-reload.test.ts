import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { EffectiveConfig } from "@pointsman/config";
import { createTimers, noMetrics, silentLogger } from "@pointsman/core";
import { Datastore } from "@pointsman/datastore";
import { afterEach, expect, test } from "vitest";
import { ConfigReload } from "./config-reload.ts";
import { loadGraph } from "./load-graph.ts";

const datastore = new Datastore({ pool: { name: "p", namespace: "ns", appProtocol: undefined }, logger: silentLogger });
const timers = createTimers("test", silentLogger);
const folder = mkdtempSync(join(tmpdir(), "pointsman-reload-"));
const file = join(folder, "epp.yaml");
const config = (weight: number): string => `plugins: [{type: queue-scorer}]
schedulingProfiles: [{name: default, plugins: [{pluginRef: queue-scorer, weight: ${weight}}]}]
`;
let reload: ConfigReload | undefined;

afterEach(() => {
  reload?.stop();
  timers.stopAll();
  rmSync(folder, { recursive: true, force: true });
});

test("what is loaded is what was looked at, also when the file is emptied for the next write meanwhile", async () => {
  writeFileSync(file, config(7));
  const used: EffectiveConfig[] = [];
  reload = new ConfigReload({
    file,
    current: config(1),
    load: (configFileText) => {
      writeFileSync(file, "");
      return loadGraph(
        { configFile: file, configText: "", endpointsFile: "", configFileText },
        { allowExperimental: false, stalenessMs: 2000, logger: silentLogger, metrics: noMetrics, datastore },
      );
    },
    use: async (graph, effective) => {
      used.push(effective);
      await graph.dispose();
      return undefined;
    },
    timers,
    logger: silentLogger,
    metrics: noMetrics,
  });
  await expect.poll(() => used).toHaveLength(1);
  expect(JSON.stringify(used[0]!.schedulingProfiles[0]!.plugins)).toContain('"weight":7');
});
