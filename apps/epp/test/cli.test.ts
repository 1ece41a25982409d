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

test("check tells what plugins warn of at a start: deprecated types, parts without effect", async () => {
  const profiles = "schedulingProfiles: [{name: decode}, {name: spare}]";
  const plugins =
    "plugins: [{type: by-label, parameters: {label: a, validValues: [b]}}, {type: disagg-profile-handler}]";
  const { code, err } = await epp("check", file("warned.yaml", `${plugins}\n${profiles}\n`));
  expect(code).toBe(0);
  const warned = err.split("\n").filter((line) => line.startsWith("warning"));
  expect(warned[0]).toMatch(/^warning {2}plugin "by-label": plugin type by-label is deprecated: .* \{"label":"a"\}$/);
  expect(warned.at(-1)).toBe(
    'warning  plugin "disagg-profile-handler": part of the configuration has no effect {"problem":"profile spare never runs: it is no stage"}',
  );
  expect(err).toContain(`ok (0 errors, ${warned.length + err.split(" warning EPP_").length - 1} warnings)`);
  const asJson = await epp("check", "warned.yaml", "--json");
  expect(asJson.err.trimEnd().split("\n")).toEqual(warned);
  expect(JSON.parse(asJson.out)).toHaveLength(err.split(" warning EPP_").length - 1);
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

file("no-yaml", "endpoints: [1, 2\n");

test.each([
  [["check"], 2, "give one configuration file"],
  [["check", "missing.yaml"], 2, "cannot read missing.yaml"],
  [["check", "a.yaml", "--config-text", "plugins: []"], 2, "exclude each other; give one"],
  [["check", "a.yaml", "--print", "--json"], 2, "--print and --json exclude each other; give one"],
  [["check", "a", "--pritn"], 2, "did you mean --print"],
  [["explain", "--address", "127.0.0.1:1"], 1, "no answer from http://127.0.0.1:1"],
  [["explain", "extra"], 2, 'unexpected argument "extra"'],
  [["envoy-config", "--failure-mode=open"], 2, "needs --endpoints-file"],
  [["envoy-config", "--failure-mode=half"], 2, "is not one of close, open"],
  [["envoy-config", "--failure-mode=open", "--endpoints-file=none.yaml"], 2, "--endpoints-file: none.yaml: ENOENT"],
  [
    ["envoy-config", "--failure-mode=open", "--endpoints-file=no-yaml"],
    2,
    "--endpoints-file: no-yaml: Flow sequence in",
  ],
  [["envoy-config", "--endpoints-file=none.yaml"], 2, "is for --failure-mode=open"],
  [["envoy-config", "--listen-address=localhost"], 2, '"localhost" is no IP address'],
  [["envoy-config", "--epp-address="], 2, "--epp-address is empty"],
  [
    ["envoy-config", "--ext-proc-socket=/run/epp.sock", "--grpc-port=9002"],
    2,
    "--grpc-port is for a picker at a port, not for --ext-proc-socket",
  ],
  [["plugins", "--jsn"], 2, "did you mean --json"],
  [["schema", "extra"], 2, 'unexpected argument "extra"'],
  [["--config-file", "missing.yaml"], 2, "cannot read missing.yaml"],
  [
    ["--endpoints-file", "missing.yaml", "--grpc-port=0", "--grpc-health-port=0", "--metrics-port=0"],
    1,
    "missing.yaml",
  ],
  [[], 2, "nothing says where the endpoints are"],
  [["frobnicate"], 2, 'unknown command "frobnicate". See --help'],
  [["explian"], 2, 'unknown command "explian"; did you mean explain?'],
  [["help", "chekc"], 2, 'unknown command "chekc"; did you mean check?'],
  [["--grpc-port=0", "extra"], 2, 'unexpected argument "extra"'],
  [["check", "a.yaml", "b.yaml"], 2, "give one configuration file"],
] as const)("epp %j exits %d and says what to do", async (args, code, text) => {
  const result = await epp(...args);
  expect(result.err).toContain(text);
  expect(result.code).toBe(code);
});

test("a checkout without its packages says how to install them", async () => {
  const checkout = join(directory, "checkout");
  for (const folder of ["bin", "src"]) mkdirSync(join(checkout, folder), { recursive: true });
  cpSync(join(app, "bin/epp"), join(checkout, "bin/epp"));
  writeFileSync(join(checkout, "src/main.ts"), "");
  const err = await new Promise<string>((resolve) => {
    execFile(join(checkout, "bin/epp"), ["version"], (_error, _out, text) => resolve(text));
  });
  expect(err).toBe("epp: the packages it needs are not installed; run in the checkout: npx -y pnpm@12 install\n");
});

test.each([
  [["--grpc-port=1", "--help"], /^ {2} {4}--metrics-staleness-threshold +Age .* \(default 2s\)$/m],
  [["serve", "--help"], /^ {2} {4}--metrics-staleness-threshold /m],
  [["serve", "--help"], /^ {2} {4}--zap-log-level +Log level .* beats -v\.$/m],
  [
    ["check", "--help"],
    /^epp check: checks .*\n\n(?: {6}--.*\n)* {6}--print .*\n {6}--json +Print the problems as JSON\.\n$/,
  ],
  [["explain", "x", "-h"], /^ {2}-n, --limit .* \(default 1\)$/m],
  [["state", "--help"], /^ {6}--plugin /m],
  [["replay", "--help"], /^ {6}--stall +Times .*\n(?:.*\n)* {6}--repeat .* \(default 1\)$/m],
  [["envoy-config", "--help"], /^ {6}--failure-mode .* \(default close\)$/m],
  [["demo", "--help"], /^ {6}--once +Exit after the requests\.$/m],
  [["help", "serve"], /^ {2} {4}--metrics-staleness-threshold /m],
  [["help", "check"], /^epp check: checks .*\n\n(?: {6}--.*\n)*$/],
  [["schema", "--help"], /^epp schema: prints the JSON Schema.*\n$/],
] as const)("epp %j prints the flags of the command", async (args, pattern) => {
  const { code, out, err } = await epp(...args);
  expect(out).toMatch(pattern);
  expect([code, err]).toEqual([0, ""]);
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
