import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { expect, onTestFinished, test } from "vitest";
import { type LoadedCoordinator, loadOptions } from "./load-options.ts";
import { helpText } from "./parse-arguments.ts";
import { settingTable, variableOf } from "./setting-table.ts";

const least = "gateway: {address: 'http://gw:80'}\npipeline: {steps: [{type: decode}]}\n";

function load(
  text: string,
  environment: Readonly<Record<string, string>> = {},
  args: readonly string[] = [],
): LoadedCoordinator {
  const folder = mkdtempSync(join(tmpdir(), "coordinator-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, "c.yaml");
  writeFileSync(file, text);
  return loadOptions(["--config", file, ...args], environment);
}

/** Problems with the file's name cut to `c.yaml`. */
function problems(loaded: LoadedCoordinator): string[] {
  return "problems" in loaded ? loaded.problems.map((text) => text.replace(/^.*?c\.yaml/, "c.yaml")) : [];
}

function options(loaded: LoadedCoordinator) {
  if ("problems" in loaded) throw new Error(loaded.problems.join("\n"));
  return loaded.options;
}

test("what is not given has the defaults of the Go coordinator", () => {
  const loaded = load(least);
  expect(options(loaded)).toMatchObject({
    host: undefined,
    port: 8080,
    metricsPort: 0,
    readTimeoutMs: 30_000,
    writeTimeoutMs: 120_000,
    shutdownTimeoutMs: 25_000,
    maxBodyBytes: 64 * 1024 * 1024,
    gateway: {
      address: { target: { host: "gw", port: 80 }, encrypted: false, path: "" },
      connections: { maxIdlePerTarget: 100, idleTimeoutMs: 90_000 },
      timeoutMs: 60_000,
      decodeTimeoutMs: undefined,
    },
    steps: [{ type: "decode", kvConnector: "kv-shared-storage", ecConnector: "ec-shared-storage", openAiFormat: true }],
    sglang: { bootstrapPort: 8998, bootstrapHost: undefined },
  });
  expect(loaded).toMatchObject({ verbosity: 2, warnings: [] });
});

test("parameters of steps are read, and what the pipeline says holds where a step says nothing", () => {
  const loaded = load(`
Gateway: {ADDRESS: "https://gw/base/"}
pipeline:
  kv_connector: kv-nixl
  ec_connector: ec-nixl
  steps:
    - type: replace-media-urls
      params: {download_timeout: 3s, max_download_size: 2, allowed_domains: [A.example], allow_private_networks: true}
    - type: render
      params: {address: "http://render:8000", max_total_tokens: 100}
    - {type: encode, params: {max_parallel: 2, ec_connector: ec-shared-storage}}
    - type: prefill
      params:
        use_openai_format: false
    - type: decode
`);
  const { gateway, steps } = options(loaded);
  expect(gateway.address).toMatchObject({ target: { host: "gw", port: 443 }, encrypted: true, path: "/base" });
  expect(steps).toMatchObject([
    {
      type: "replace-media-urls",
      downloadTimeoutMs: 3000,
      maxDownloadBytes: 2 * 1024 * 1024,
      maxImages: undefined,
      maxConcurrentDownloads: 10,
      allowPrivateNetworks: true,
      allowedHosts: new Set(["a.example"]),
    },
    { type: "render", address: { target: { host: "render", port: 8000 } }, maxPromptTokens: 100, timeoutMs: 30_000 },
    { type: "encode", maxParallel: 2, ecConnector: "ec-shared-storage", kvConnector: "kv-nixl" },
    { type: "prefill", openAiFormat: false, ecConnector: "ec-nixl" },
    { type: "decode", openAiFormat: true },
  ]);
});

test("all problems are told in one run, each with its line and column and what would be right", () => {
  const loaded = load(
    `log_level: high
gatway: {}
server:
  listen_addr: 8080
  read_timeout: 30
  writetimeout: 1s
  max_request_body_size: -1
gateway:
  address: ftp://gw
  timeout: 60s
  timeout: 61s
pipeline:
  kv_connector: kv-nixxl
  steps:
    - type: prefil
    - type: encode
      params: {max_parallel: 0, max_paralell: 1}
    - type: decode
      extra: 1
    - {params: {}}
`,
    { COORDINATOR_SERVER_SHUTDOWN_TIMEOUT: "soon", SGLANG_BOOTSTRAP_PORT: "0" },
    ["--verbose", "-v=x"],
  );
  expect(problems(loaded).sort()).toEqual(
    [
      "unknown flag --verbose",
      '-v must be a whole number from 0 to 10, got "x"',
      'c.yaml:2:1: unknown key "gatway"; did you mean "gateway"?',
      'c.yaml:6:3: unknown key "server.writetimeout"; did you mean "server.write_timeout"?',
      'c.yaml:11:3: "timeout" is given twice',
      "c.yaml:4:16: server.listen_addr must be a text, got 8080",
      'c.yaml:9:12: gateway.address must be an http or https URL without user, query and fragment, got "ftp://gw"',
      'c.yaml:13:17: pipeline.kv_connector must be one of kv-shared-storage, kv-nixl, kv-sglang; got "kv-nixxl"',
      "c.yaml:7:26: server.max_request_body_size must be a whole number from 0 to 192, got -1",
      'c.yaml:15:13: unknown step type: prefil; did you mean "prefill"?',
      'c.yaml:17:33: encode has no parameter "max_paralell"; did you mean "max_parallel"?',
      "c.yaml:17:30: max_parallel must be a whole number from 1 to 1024, got 0",
      'c.yaml:19:7: a step has no "extra", only type and params',
      "c.yaml:20:7: a step without a type",
      "c.yaml:5:17: server.read_timeout must be a duration such as 500ms, 30s or 2m, up to 576h, got 30",
      'environment variable COORDINATOR_SERVER_SHUTDOWN_TIMEOUT must be a duration such as 500ms, 30s or 2m, up to 576h, got "soon"',
      'environment variable SGLANG_BOOTSTRAP_PORT must be a port from 1 to 65535, got "0"',
      'c.yaml:1:12: log_level must be a whole number from 0 to 10, got "high"',
    ].sort(),
  );
});

test.each([
  [
    "",
    [
      "gateway.address is missing: the base URL of the gateway, such as http://gateway:80",
      "c.yaml: pipeline.steps is missing: the steps a request takes, the last of them decode",
    ],
  ],
  [
    "[1]",
    [
      "c.yaml:1:1: the configuration must be a map of settings, not a list",
      "gateway.address is missing: the base URL of the gateway, such as http://gateway:80",
      "c.yaml: pipeline.steps is missing: the steps a request takes, the last of them decode",
    ],
  ],
  [`${least}server: 1`, ["c.yaml:3:9: server must be a map of settings"]],
  [
    "gateway: {address: 'http://gw'}\npipeline: {steps: [{type: prefill}]}",
    ["c.yaml:2:19: pipeline.steps has no step decode, so that nobody answers"],
  ],
  [
    "gateway: {address: 'http://gw'}\npipeline: {steps: [{type: decode}, {type: prefill}, {type: decode}]}",
    ["c.yaml:2:36: no step can come after decode", "c.yaml:2:53: a second step decode"],
  ],
  [
    "gateway: {address: 'http://gw'}\npipeline: {use_openai_format: false, steps: [{type: prefill}, {type: decode}]}",
    [
      'c.yaml:2:46: use_openai_format=false requires a "render" step before prefill: it makes the token ids that are sent',
    ],
  ],
])("what makes no pipeline is refused: %j", (text, expected) => {
  expect(problems(load(text))).toEqual(expected);
});

test("a text that is no YAML is told with its place, and nothing that only follows from it", () => {
  expect(problems(load("gateway: {address: 'x\n"))).toEqual([expect.stringMatching(/^c\.yaml:[12]:[0-9]+: /)]);
});

test("a file that is not there is told", () => {
  const loaded = loadOptions(["--config=/nowhere/c.yaml"], {});
  expect(loaded).toEqual({ problems: [expect.stringContaining("cannot read /nowhere/c.yaml")] });
});

test("every setting has a variable, which wins over the file", () => {
  const values: Readonly<Record<string, string>> = {
    text: "",
    boolean: "true",
    integer: "7",
    duration: "7s",
    texts: "",
  };
  const environment: Record<string, string> = {};
  for (const { name, kind } of settingTable) environment[variableOf(name)] = values[kind]!;
  environment["COORDINATOR_SERVER_LISTEN_ADDR"] = "[::1]:99";
  environment["COORDINATOR_GATEWAY_ADDRESS"] = "http://other:81";
  environment["COORDINATOR_PIPELINE_KV_CONNECTOR"] = "kv-nixl";
  environment["COORDINATOR_PIPELINE_EC_CONNECTOR"] = "ec-nixl";
  environment["COORDINATOR_PIPELINE_SGLANG_BOOTSTRAP_HOST"] = "p";
  environment["COORDINATOR_PIPELINE_USE_OPENAI_FORMAT"] = "f";
  const loaded = load(
    "server: {read_timeout: 1s, listen_addr: ':1'}\ngateway: {address: 'http://gw'}\npipeline: {steps: [{type: decode}]}",
    environment,
  );
  expect(loaded).toMatchObject({ verbosity: 7 });
  expect(options(loaded)).toMatchObject({
    host: "::1",
    port: 99,
    tracing: true,
    metricsPort: 7,
    readTimeoutMs: 7000,
    writeTimeoutMs: 7000,
    shutdownTimeoutMs: 7000,
    maxBodyBytes: 7 * 1024 * 1024,
    maxReplyBytes: 7 * 1024 * 1024,
    gateway: {
      address: { target: { host: "other", port: 81 } },
      connections: { maxIdlePerTarget: 7, idleTimeoutMs: 7000 },
      timeoutMs: 7000,
      decodeTimeoutMs: 7000,
    },
    steps: [{ kvConnector: "kv-nixl", ecConnector: "ec-nixl", openAiFormat: false }],
    sglang: { bootstrapHost: "p" },
  });
});

test("flags win over all, and variables that name nothing are a warning unless Kubernetes sets them", () => {
  const loaded = load(
    `log_level: 1\n${least}`,
    {
      COORDINATOR_LOG_LEVEL: "3",
      COORDINATOR_SERVER_READ_TIMEOUTS: "1s",
      COORDINATOR_SERVICE_HOST: "10.0.0.1",
      COORDINATOR_PORT_8080_TCP: "tcp://10.0.0.1:8080",
      COORDINATOR_SERVER_SERVICE_PORT: "80",
    },
    ["-v", "5", "--metrics-port=9090", "--zap-devel", "--zap-encoder", "json"],
  );
  expect(loaded).toMatchObject({
    verbosity: 5,
    options: { metricsPort: 9090 },
    warnings: [
      "--zap-devel has no effect: logs are JSON lines; use -v",
      "--zap-encoder has no effect: logs are JSON lines; use -v",
      "environment variable COORDINATOR_SERVER_READ_TIMEOUTS names no setting; nearest: COORDINATOR_SERVER_READ_TIMEOUT",
    ],
  });
});

test("a zero means no limit where there can be none, and the default for the size of a body", () => {
  const loaded = load(
    `server: {read_timeout: 0s, write_timeout: 0, max_request_body_size: 0}\n${least.replace("'}", "', timeout: 0s}")}`,
  );
  expect(options(loaded)).toMatchObject({
    readTimeoutMs: undefined,
    writeTimeoutMs: undefined,
    maxBodyBytes: 64 * 1024 * 1024,
    gateway: { timeoutMs: undefined },
  });
});

test("a zero for kept connections means what it means to Go: two of them, without a limit of time", () => {
  const loaded = load(`
gateway: {address: 'http://gw', max_idle_conns_per_host: 0, idle_conn_timeout: 0}
pipeline:
  steps:
    - {type: render, params: {address: 'http://r', max_idle_conns_per_host: 0, idle_conn_timeout: 0s}}
    - {type: decode}
`);
  const connections = { maxIdlePerTarget: 2, idleTimeoutMs: Number.POSITIVE_INFINITY };
  expect(options(loaded)).toMatchObject({ gateway: { connections }, steps: [{ connections }, {}] });
});

test("an encode that has no render before it is told: it never runs", () => {
  const steps = (list: string) => load(`gateway: {address: 'http://gw'}\npipeline: {steps: [${list}]}`);
  const render = "{type: render, params: {address: 'http://r'}}";
  const told = (loaded: LoadedCoordinator) => ("warnings" in loaded ? loaded.warnings : []);
  const problem = 'encode never runs: it needs a "render" step before it, which finds the images';
  expect(told(steps("{type: encode}, {type: decode}"))).toEqual([expect.stringMatching(/c\.yaml:2:20: /)]);
  expect(told(steps(`{type: encode}, ${render}, {type: decode}`))).toEqual([expect.stringContaining(problem)]);
  expect(told(steps(`${render}, {type: encode}, {type: decode}`))).toEqual([]);
});

test("whatever the file says, the answer is options or problems that have a place", () => {
  const value = fc.oneof(
    fc.string(),
    fc.integer(),
    fc.boolean(),
    fc.constant(null),
    fc.array(fc.string()),
    fc.object(),
  );
  const keys = fc.constantFrom("server", "gateway", "pipeline", "steps", "params", "type", "address", "log_level", "x");
  fc.assert(
    fc.property(fc.dictionary(keys, fc.oneof(value, fc.dictionary(keys, value))), (document) => {
      const loaded = load(JSON.stringify(document));
      if (!("problems" in loaded)) return;
      expect(loaded.problems.length).toBeGreaterThan(0);
      for (const problem of problems(loaded))
        expect(problem).toMatch(/^(?:c\.yaml(?::\d+:\d+)?: |gateway\.address is)/);
    }),
    { numRuns: 100 },
  );
});

test("the help names every setting and its variable", () => {
  for (const { name } of settingTable) {
    expect(helpText()).toContain(name);
    expect(helpText()).toContain(variableOf(name));
  }
});
