import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentLogger } from "@pointsman/core";
import { loadOptions, startCoordinator } from "@pointsman/pd-coordinator";
import { createPrometheusMetrics } from "@pointsman/telemetry";
import { expect, onTestFinished, test } from "vitest";

const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8");

/** What the loader says of the README's configuration. */
function documented() {
  const blocks = [...readme.matchAll(/```yaml\n([\s\S]*?)```/g)].map((match) => match[1]!);
  expect(blocks).toHaveLength(1);
  const folder = mkdtempSync(join(tmpdir(), "coordinator-readme-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  writeFileSync(join(folder, "c.yaml"), blocks[0]!);
  const loaded = loadOptions([`--config=${join(folder, "c.yaml")}`], {});
  if ("problems" in loaded) throw new Error(loaded.problems.join("\n"));
  return loaded;
}

test("the configuration that the README shows is taken, without a warning", () => {
  expect(documented().warnings).toEqual([]);
});

test("every step stands in the README's table", () => {
  const { options } = documented();
  for (const { type } of options.steps) expect(readme).toContain(`| \`${type}\``);
});

test("every metric of the coordinator stands in the README, and no other", async () => {
  const { options } = documented();
  const metrics = createPrometheusMetrics({ processMetrics: false });
  const coordinator = await startCoordinator(
    { ...options, host: "127.0.0.1", port: 0, metricsPort: 0 },
    { logger: silentLogger, metrics },
  );
  const page = await metrics.page();
  await coordinator.stop(0);
  const registered = new Set([...page.matchAll(/^# TYPE (\S+)/gm)].map((match) => match[1]!));
  const named = new Set([...readme.matchAll(/`(pd_coordinator_[a-z_]+)`/g)].map((match) => match[1]!));
  expect([...named].sort()).toEqual([...registered].sort());
});
