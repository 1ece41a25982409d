import { execFile } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, expect, test, vi } from "vitest";

// Each case starts processes, which takes seconds on a busy machine.
vi.setConfig({ testTimeout: 120_000 });

const app = fileURLToPath(new URL("..", import.meta.url));
const directory = mkdtempSync(join(tmpdir(), "epp-cli-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

interface Result {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Runs the program from a folder that is not the repository. */
function epp(...args: readonly string[]): Promise<Result> {
  return new Promise((resolve) => {
    execFile(join(app, "bin/epp"), args, { cwd: directory, timeout: 60_000 }, (error, out, err) => {
      resolve({ code: error === null ? 0 : Number(error.code ?? -1), out, err });
    });
  });
}

function file(name: string, text: string): string {
  writeFileSync(join(directory, name), text);
  return name;
}

test("a configuration with five mistakes prints five problems with their places, and exits 2", async () => {
  const name = file(
    "five.yaml",
    `apiVersion: llm-d.ai/v1alpha1
kind: EndpointPickerConfig
plugins:
  - type: queue-scoer
  - type: approx-prefix-cache-producer
    parameters:
      blokSizeTokens: 64
      lruCapacityPerServer: many
  - type: kv-cache-utilization-scorer
  - type: max-score-picker
  - type: random-picker
schedulingProfiles:
  - name: default
    plugins:
      - pluginRef: kv-cache-utilization-scorer
      - pluginRef: running-requests
      - pluginRef: max-score-picker
      - pluginRef: random-picker
`,
  );
  const { code, err } = await epp("check", name);
  expect(code).toBe(2);
  const places = err.split("\n").filter((line) => / error EPP_/.test(line));
  expect(
    places.map((line) => line.split(" ")[0]),
    err,
  ).toEqual(["five.yaml:4:11", "five.yaml:7:7", "five.yaml:8:29", "five.yaml:16:20", "five.yaml:18:20"]);
  expect(err).toContain("queue-scorer");
  expect(err).toContain("blockSizeTokens");
  expect(err).toContain("5 errors");
  const served = await epp("--config-file", name);
  expect(served.code).toBe(2);
  expect(served.err.split("\n").filter((line) => / error EPP_/.test(line))).toEqual(places);
});

test("check --print shows the configuration with its defaults, which loads again", async () => {
  const name = file("small.yaml", "plugins: [{type: prefix-cache-scorer}]\n");
  const first = await epp("check", name, "--print");
  expect(first.code, first.err).toBe(0);
  for (const type of [
    "single-profile-handler",
    "max-score-picker",
    "approx-prefix-cache-producer",
    "token-producer",
    "openai-parser",
  ]) {
    expect(first.out).toContain(type);
  }
  const second = await epp("check", file("printed.yaml", first.out), "--print");
  expect(second.out).toBe(first.out);
});

test("check --json gives the problems as data", async () => {
  const { code, out } = await epp("check", file("json.yaml", "plugins: [{type: nothing}]\n"), "--json");
  expect(code).toBe(2);
  expect(JSON.parse(out)).toMatchObject([{ severity: "error", line: 1, column: 18 }]);
});

test.each([
  [["check"], 2, "give the configuration file"],
  [["check", "missing.yaml"], 2, "cannot read missing.yaml"],
  [["check", "a", "--pritn"], 2, "did you mean --print"],
  [["explain", "--address", "127.0.0.1:1"], 1, "no answer from http://127.0.0.1:1"],
  [["explain", "extra"], 2, 'unexpected argument "extra"'],
  [["envoy-config", "--failure-mode=open"], 2, "needs --endpoints-file"],
  [["envoy-config", "--failure-mode=half"], 2, "is not one of close, open"],
  [["plugins", "--jsn"], 2, "did you mean --json"],
  [["schema", "extra"], 2, 'unexpected argument "extra"'],
  [["--config-file", "missing.yaml"], 2, "cannot read missing.yaml"],
  [
    ["--endpoints-file", "missing.yaml", "--grpc-port=0", "--grpc-health-port=0", "--metrics-port=0"],
    1,
    "missing.yaml",
  ],
  [[], 1, "nothing says where the endpoints are"],
  [["frobnicate"], 2, 'unexpected argument "frobnicate"'],
] as const)("epp %j exits %d and says what to do", async (args, code, text) => {
  const result = await epp(...args);
  expect(result.err).toContain(text);
  expect(result.code).toBe(code);
});

test("help, version, plugins, schema and envoy-config print", async () => {
  expect((await epp("--help")).out).toContain("--metrics-staleness-threshold");
  expect((await epp("version")).out).toMatch(/^epp \d+\.\d+\.\d+ \(node /);
  expect((await epp("plugins")).out).toContain("queue-scorer");
  expect(JSON.parse((await epp("schema")).out)).toMatchObject({ type: "object" });
  expect((await epp("envoy-config")).out).toContain("FULL_DUPLEX_STREAMED");
});

test("a plugin from outside is found next to the configuration, and a missing one is named with what to install", async () => {
  const home = join(directory, "outside");
  const example = join(home, "node_modules/@acme/gpu-temperature-scorer");
  mkdirSync(join(home, "node_modules/@pointsman"), { recursive: true });
  cpSync(join(app, "examples/custom-scorer"), example, { recursive: true });
  // What `npm install` would put there: the plugin's peer and dependency.
  symlinkSync(join(app, "node_modules/@pointsman/core"), join(home, "node_modules/@pointsman/core"));
  symlinkSync(join(app, "../../packages/config/node_modules/zod"), join(home, "node_modules/zod"));
  cpSync(join(app, "examples/custom-scorer/epp.yaml"), join(home, "epp.yaml"));
  const found = await epp("check", join(home, "epp.yaml"), "--print");
  expect(found.err).toContain("ok (0 errors, 0 warnings)");
  expect(found.code).toBe(0);
  expect(found.out).toContain("coolCelsius: 40");
  rmSync(example, { recursive: true });
  const missing = await epp("check", join(home, "epp.yaml"));
  expect(missing.code).toBe(2);
  expect(missing.err).toMatch(/epp\.yaml:6:11 error .*@acme\/gpu-temperature-scorer/);
});
