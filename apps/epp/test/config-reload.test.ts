import { renameSync, symlinkSync, writeFileSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { noMetrics, silentLogger } from "@pointsman/core";
import { Datastore } from "@pointsman/datastore";
import { afterEach, expect, test, vi } from "vitest";
import { parseFlags } from "../src/flags/parse-flags.ts";
import { serveOptions } from "../src/flags/serve-options.ts";
import { loadGraph } from "../src/process/load-graph.ts";
import { ExtProcStream, endAll, modelServer, runProgram, startPicker, temporaryFolder } from "./picker.ts";

afterEach(endAll);

/** A configuration of two scorers with endpoints from files beside it. */
function config(endpoints: string, queueWeight: number, more: readonly string[] = []): string {
  return `plugins:
  - type: queue-scorer
  - type: prefix-cache-scorer
  - type: file-discovery
    parameters: { path: ${endpoints}, watchFile: true }
${more.map((line) => `  - ${line}\n`).join("")}dataLayer: { discovery: { pluginRef: file-discovery } }
schedulingProfiles:
  - name: default
    plugins:
      - { pluginRef: queue-scorer, weight: ${queueWeight} }
      - { pluginRef: prefix-cache-scorer, weight: 3 }
`;
}

const flags = ["--bind-address=127.0.0.1", "--grpc-port=0", "--grpc-health-port=0", "--metrics-port=0"] as const;

async function folderWithConfig(): Promise<{ folder: string; file: string; modelPort: number }> {
  const modelPort = await modelServer((_request, response) => response.end("vllm:num_requests_waiting 0\n"));
  const folder = temporaryFolder();
  writeFileSync(join(folder, "one.yaml"), `endpoints: [{name: a, address: 127.0.0.1, port: "${modelPort}"}]\n`);
  writeFileSync(join(folder, "two.yaml"), `endpoints: [{name: b, address: 127.0.0.2, port: "${modelPort}"}]\n`);
  const file = join(folder, "epp.yaml");
  writeFileSync(file, config("one.yaml", 1));
  return { folder, file, modelPort };
}

test("the program follows its configuration file, keeps the last good one, and reads it again at SIGHUP", async () => {
  const { folder, file } = await folderWithConfig();
  const { child, lines, ready } = await runProgram([...flags, "--config-file", file]);
  const metric = async (series: string): Promise<string | undefined> => {
    const page = await (await fetch(`http://127.0.0.1:${String(ready["metrics"])}/metrics`)).text();
    return page.split("\n").find((line) => line.startsWith(series));
  };
  const first = await metric("llm_d_epp_config_info{");
  expect(first).toMatch(/hash="[0-9a-f]{16}"\} 1$/);

  // As Kubernetes does it: another file under a link that is swapped.
  await mkdir(join(folder, "v2"));
  writeFileSync(join(folder, "v2", "epp.yaml"), config("one.yaml", 2));
  symlinkSync(join(folder, "v2", "epp.yaml"), join(folder, "link"));
  renameSync(join(folder, "link"), file);
  await expect
    .poll(() => metric('llm_d_epp_config_reloads_total{result="success"}'), { timeout: 20_000 })
    .toMatch(/ 1$/);
  expect((await metric(first!.slice(0, first!.lastIndexOf(" "))))!).toMatch(/ 0$/);

  writeFileSync(join(folder, "v2", "epp.yaml"), config("one.yaml", 2, ["type: queue-scoerr"]));
  child.kill("SIGHUP");
  await expect
    .poll(() => metric('llm_d_epp_config_reloads_total{result="failure"}'), { timeout: 20_000 })
    .toMatch(/ 1$/);
  const told = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  expect(told).toContainEqual(
    expect.objectContaining({
      code: "EPP_CONFIG_UNKNOWN_TYPE",
      line: 6,
      column: 11,
      help: expect.stringContaining('Nearest: "queue-scorer"'),
    }),
  );
  expect(told).toContainEqual(
    expect.objectContaining({ level: "error", msg: "configuration not reloaded; the last good one stays" }),
  );

  writeFileSync(join(folder, "v2", "epp.yaml"), "\n");
  child.kill("SIGHUP");
  await expect
    .poll(() => metric('llm_d_epp_config_reloads_total{result="failure"}'), { timeout: 20_000 })
    .toMatch(/ 2$/);
  expect(lines.some((line) => line.includes('"problem":"the file is empty"'))).toBe(true);

  writeFileSync(join(folder, "v2", "epp.yaml"), config("one.yaml", 3));
  child.kill("SIGHUP");
  await expect
    .poll(() => metric('llm_d_epp_config_reloads_total{result="success"}'), { timeout: 20_000 })
    .toMatch(/ 2$/);
});

test("SIGHUP does not end a picker that leaves its configuration file alone", async () => {
  const { file } = await folderWithConfig();
  const { child, exited, lines } = await runProgram([...flags, "--config-file", file, "--config-reload=false"]);
  child.kill("SIGHUP");
  await expect.poll(() => lines.join("\n"), { timeout: 20_000 }).toContain("SIGHUP has no effect");
  child.kill("SIGTERM");
  expect(await exited).toBe(0);
});

test("requests in flight end on the configuration they began with; learned state and endpoints go over", async () => {
  const { file } = await folderWithConfig();
  const all = [...flags, "--config-file", file, "--secure-serving=false"];
  const { epp, ports } = await startPicker(all);
  const load = async (text: string) => {
    writeFileSync(file, text);
    const options = serveOptions(parseFlags(all) as never, {});
    if ("problems" in options) throw new Error(options.problems.join());
    const datastore = new Datastore({
      pool: { name: "", namespace: "", appProtocol: undefined },
      logger: silentLogger,
    });
    const parts = { ...options, logger: silentLogger, metrics: noMetrics, datastore };
    const loaded = await loadGraph(options, { ...parts, replaces: epp.graph });
    if ("unreadable" in loaded || loaded.graph === undefined) throw new Error(JSON.stringify(loaded));
    return { graph: loaded.graph, effective: loaded.effective! };
  };
  const before = epp.graph;
  const instance = (name: string) => epp.graph.plugins.find((plugin) => plugin.name === name)!.instance;
  const index = instance("approx-prefix-cache-producer");
  const disposed = vi.fn<() => void>();
  const picker = instance("max-score-picker");
  picker.dispose = disposed;

  const held = new ExtProcStream(ports.extProc).request();
  await expect.poll(() => held.requestHeadersSet()).toBeDefined();
  // Another picker, other endpoints; the prefix index as it was.
  const next = await load(
    config("two.yaml", 1).replace("type: prefix-cache-scorer", "type: prefix-cache-scorer\n  - type: random-picker"),
  );
  expect(await epp.replaceGraph(next.graph, next.effective)).toBeUndefined();
  expect(epp.graph).not.toBe(before);
  expect(instance("approx-prefix-cache-producer")).toBe(index);

  const fresh = new ExtProcStream(ports.extProc).request();
  await expect.poll(() => fresh.requestHeadersSet()?.["x-gateway-destination-endpoint"]).toMatch(/^127\.0\.0\.2:/);
  expect(disposed).not.toHaveBeenCalled();
  held.response().end();
  expect(await held.ended).toBe(0);
  await expect.poll(() => disposed.mock.calls.length).toBe(1);
  fresh.response().end();
  expect(await fresh.ended).toBe(0);
});
