import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentLogger } from "@pointsman/core";
import { defaultOptions, makeTarget, resolveOptions, startSidecar } from "@pointsman/pd-sidecar";
import { createPrometheusMetrics } from "@pointsman/telemetry";
import { expect, onTestFinished, test } from "vitest";
import { kubernetesPoolTargets } from "./pool-targets.ts";

const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8");

test("the settings that the README shows are taken", () => {
  const blocks = [...readme.matchAll(/```yaml\n([\s\S]*?)```/g)].map((match) => match[1]!);
  expect(blocks).not.toHaveLength(0);
  for (const block of blocks) expect(resolveOptions([`--configuration=${block}`], {})).not.toHaveProperty("problems");
});

test("every metric of the sidecar stands in the README, and no other", async () => {
  const metrics = createPrometheusMetrics({ processMetrics: false });
  const ranks = [{ port: 0, decoder: makeTarget("127.0.0.1", 1) }];
  const directory = mkdtempSync(join(tmpdir(), "pd-sidecar-"));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  // Nobody answers there.
  const kubeconfig = join(directory, "kubeconfig");
  writeFileSync(
    kubeconfig,
    `{current-context: c, contexts: [{name: c, context: {cluster: c, user: u}}], users: [{name: u, user: {}}],
    clusters: [{name: c, cluster: {server: "http://127.0.0.1:1"}}]}`,
  );
  const pool = { namespace: "ns", name: "p", group: "inference.networking.k8s.io" };
  const sidecar = await startSidecar(
    {
      ...defaultOptions,
      ...{ host: "127.0.0.1", ranks },
      targets: { pool, poolRequired: false, hosts: undefined, file: undefined },
    },
    {
      ...{ logger: silentLogger, metrics },
      poolTargets: kubernetesPoolTargets({ KUBECONFIG: kubeconfig }, metrics),
      poolWaitMs: 1,
    },
  );
  const page = await metrics.page();
  await sidecar.stop(0);
  const registered = new Set([...page.matchAll(/^# TYPE (\S+)/gm)].map((match) => match[1]!));
  const documented = new Set([...readme.matchAll(/`((?:pd_sidecar|moriio)_[a-z_]+)`/g)].map((match) => match[1]!));
  expect([...documented].sort()).toEqual([...registered].sort());
});
