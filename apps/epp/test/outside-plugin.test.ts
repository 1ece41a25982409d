import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { endAll, modelServer, runProgram, temporaryFolder } from "./picker.ts";

afterEach(endAll);

test("a plugin whose promise fails with nobody waiting for it does not end the picker", async () => {
  const modelPort = await modelServer((_request, response) => response.end("{}"));
  const folder = temporaryFolder();
  const plugin = join(folder, "node_modules", "@acme", "async-scorer");
  mkdirSync(plugin, { recursive: true });
  writeFileSync(
    join(plugin, "package.json"),
    '{"name": "@acme/async-scorer", "type": "module", "exports": "./index.js"}',
  );
  writeFileSync(
    join(plugin, "index.js"),
    `export default {
      type: "@acme/async-scorer", kind: "scorer", stability: "beta", summary: "Fails.",
      create: () => ({ async score() { throw new Error("too late"); } }),
    };`,
  );
  writeFileSync(join(folder, "endpoints.yaml"), `endpoints: [{name: a, address: 127.0.0.1, port: "${modelPort}"}]\n`);
  writeFileSync(
    join(folder, "epp.yaml"),
    `plugins:
  - type: "@acme/async-scorer"
  - type: file-discovery
    parameters: { path: endpoints.yaml }
dataLayer: { discovery: { pluginRef: file-discovery } }
`,
  );
  const { child, exited, ready, lines } = await runProgram([
    ...["--config-file", join(folder, "epp.yaml"), "--bind-address=127.0.0.1", "--http-proxy-port=0"],
    ...["--grpc-port=0", "--grpc-health-port=0", "--metrics-port=0"],
  ]);
  for (const prompt of ["one", "two"]) {
    const body = JSON.stringify({ model: "m", prompt });
    const answer = await fetch(`http://127.0.0.1:${ready["proxy"]}/v1/completions`, { method: "POST", body });
    expect(answer.status).toBe(200);
  }
  const told = () => lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  await expect.poll(told, { timeout: 20_000 }).toContainEqual(
    expect.objectContaining({
      level: "error",
      msg: "a promise failed that nobody waited for",
      problem: "too late",
      stacktrace: expect.stringContaining("score"),
    }),
  );
  const page = await (await fetch(`http://127.0.0.1:${ready["metrics"]}/metrics`)).text();
  expect(page).toMatch(/^llm_d_epp_unhandled_rejections_total 2$/m);
  child.kill("SIGTERM");
  expect(await exited).toBe(0);
});
