import { readFileSync } from "node:fs";
import { silentLogger } from "@pointsman/core";
import { defaultOptions, makeTarget, resolveOptions, startSidecar } from "@pointsman/pd-sidecar";
import { createPrometheusMetrics } from "@pointsman/telemetry";
import { expect, test } from "vitest";

const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8");

test("the settings that the README shows are taken", () => {
  const blocks = [...readme.matchAll(/```yaml\n([\s\S]*?)```/g)].map((match) => match[1]!);
  expect(blocks).not.toHaveLength(0);
  for (const block of blocks) expect(resolveOptions([`--configuration=${block}`], {})).not.toHaveProperty("problems");
});

test("every metric of the sidecar stands in the README, and no other", async () => {
  const metrics = createPrometheusMetrics({ processMetrics: false });
  const ranks = [{ port: 0, decoder: makeTarget("127.0.0.1", 1) }];
  const sidecar = await startSidecar(
    { ...defaultOptions, host: "127.0.0.1", ranks },
    { logger: silentLogger, metrics },
  );
  const page = await metrics.page();
  await sidecar.stop(0);
  const registered = new Set([...page.matchAll(/^# TYPE (\S+)/gm)].map((match) => match[1]!));
  const documented = new Set([...readme.matchAll(/`((?:pd_sidecar|moriio)_[a-z_]+)`/g)].map((match) => match[1]!));
  expect([...documented].sort()).toEqual([...registered].sort());
});
