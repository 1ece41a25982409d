import { expect, test } from "vitest";
import { flagTable } from "./flag-table.ts";
import { type FlagValue, parseFlags } from "./parse-flags.ts";
import { parseSize } from "./parse-size.ts";
import { serveOptions } from "./serve-options.ts";

function values(...args: string[]): ReadonlyMap<string, FlagValue> {
  const parsed = parseFlags(args);
  if ("problems" in parsed) throw new Error(parsed.problems.join("\n"));
  return parsed.values;
}
function problems(...args: string[]): readonly string[] {
  const parsed = parseFlags(args);
  return "problems" in parsed ? parsed.problems : [];
}

test("every default passes its own flag's check", () => {
  const parsed = values();
  for (const { name, kind, default: text } of flagTable) {
    if (kind !== "size" || text !== "") expect(parsed.get(name), name).toBeDefined();
  }
});

test.each([
  [["--grpc-port", "9100"], "grpc-port", 9100],
  [["--grpc-port=9100"], "grpc-port", 9100],
  [["--grpc-port=1", "--grpc-port=2"], "grpc-port", 2],
  [["--endpoint-target-ports=1,2"], "endpoint-target-ports", ["1", "2"]],
  [["--endpoint-target-ports=1,2", "--endpoint-target-ports=3"], "endpoint-target-ports", ["1", "2", "3"]],
  [["--secure-serving=false"], "secure-serving", false],
  [["--health-checking"], "health-checking", true],
  [["-v", "5"], "v", 5],
  [["-v=4"], "v", 4],
  [["-v4"], "v", 4],
  [["--drain-timeout", "1m30s"], "drain-timeout", 90_000],
  [["--grpc-max-recv-msg-size", "10MiB"], "grpc-max-recv-msg-size", 10 * 1024 * 1024],
] as const)("%j sets %s", (args, name, value) => {
  expect(values(...args).get(name)).toEqual(value);
});

test("every problem of a command line is told, with what would be right", () => {
  expect(
    problems(
      "--grpc-prot=1",
      "--grpc-port=70000",
      "--drain-timeout=5",
      "--secure-serving=maybe",
      "--lora-info-metric=x",
      "--v",
    ),
  ).toEqual([
    "unknown flag --grpc-prot; did you mean --grpc-port? See --help for all flags.",
    'flag --grpc-port: "70000" is not an integer from 0 to 65535 (default "9002")',
    'flag --drain-timeout: "5" is not a duration such as 50ms, 2s or 1m30s (default "30s")',
    'flag --secure-serving: "maybe" is not true or false (default "true")',
    'flag --lora-info-metric was removed: set the metric in "engineConfigs" of the core-metrics-extractor plugin',
    "flag --v needs a value (an integer)",
  ]);
});

test("a flag without effect is accepted and said once", () => {
  const parsed = parseFlags(["--zap-encoder", "json", "--zap-devel", "--zap-devel=false"]);
  expect("warnings" in parsed && parsed.warnings).toEqual([
    "flag --zap-encoder has no effect: logs are JSON lines",
    "flag --zap-devel has no effect: logs are JSON lines",
  ]);
});

test.each([
  ["25MB", 25_000_000],
  ["1k", 1000],
  ["1.5Ki", 1536],
  ["100b", 100],
  ["0", 0],
  ["3Gi", 3 * 2 ** 30],
  ["1e6", 1_000_000],
  ["2E3", 2000],
  ["2E", 2e18],
  [" 1Ti ", 2 ** 40],
  ["9Ei", undefined],
  ["1e99", undefined],
  ["-1Mi", undefined],
  ["1mB", undefined],
  ["B", undefined],
  ["1KB", undefined],
  ["10 MiB", undefined],
])("the size %s is %s bytes", (text, bytes) => {
  expect(parseSize(text)).toBe(bytes);
});

test("sizes above what one message can have are cut to it, and 0 is the default where the empty text is", () => {
  expect(values("--grpc-max-recv-msg-size=10Gi").get("grpc-max-recv-msg-size")).toBe(2 ** 31 - 1);
  expect(values("--grpc-max-recv-msg-size=0").get("grpc-max-recv-msg-size")).toBeUndefined();
  expect(problems("--max-request-body-size=0")).toHaveLength(1);
});

function options(args: readonly string[], environment: Record<string, string> = {}) {
  const parsed = parseFlags(args);
  if ("problems" in parsed) throw new Error(parsed.problems.join("\n"));
  return serveOptions(parsed, environment);
}

test("the namespace comes from the flag, else the environment, else default", () => {
  expect(options([])).toMatchObject({ poolNamespace: "default", poolName: "epp" });
  expect(options([], { NAMESPACE: "env" })).toMatchObject({ poolNamespace: "env" });
  expect(options(["--pool-namespace=flag"], { NAMESPACE: "env" })).toMatchObject({ poolNamespace: "flag" });
});

test.each([
  [[], "info"],
  [["-v=4"], "debug"],
  [["-v=-1"], "info"],
  [["--zap-log-level=error", "-v=5"], "error"],
  [["--zap-log-level=5"], "debug"],
  [["--zap-log-level=Error"], "error"],
  [["--zap-log-level=panic"], "silent"],
])("%j logs at %s", (args, level) => {
  expect(options(args)).toMatchObject({ logLevel: level });
});

test("flags that exclude each other are refused together", () => {
  expect(
    options(["--config-file=a", "--config-text=b", "--endpoints-file=c", "--zap-log-level=loud", "extra"]),
  ).toEqual({
    problems: [
      'unexpected argument "extra"; see --help for the commands',
      "--config-file and --config-text exclude each other; give one",
      "--endpoints-file goes with the built-in configuration only; in a configuration of your own add a file-discovery plugin",
      '--zap-log-level: "loud" is not debug, info, error, panic or a verbosity',
    ],
  });
});

test("no address to bind to is no wish for all of them", () => {
  expect(options(["--bind-address="])).toEqual({
    problems: ["--bind-address is empty; 0.0.0.0 stands for all addresses"],
  });
});

test.each([
  ["--refresh-metrics-interval=1s", 0],
  ["--refresh-metrics-interval=2s", 1],
  ["--metrics-staleness-threshold=0s", 1],
])("%s has %d warnings of signals that are never known for long", (flag, count) => {
  const parsed = options([flag]);
  expect("warnings" in parsed && parsed.warnings).toEqual(
    new Array(count).fill(expect.stringContaining("signals turn unknown before they are read again")),
  );
});

test("a refresh interval below 50ms is raised and said", () => {
  expect(options(["--refresh-metrics-interval=10ms"])).toMatchObject({
    refreshMetricsIntervalMs: 50,
    warnings: ["--refresh-metrics-interval is below 50ms; 50ms is used"],
  });
});

test.each([
  ["", undefined, []],
  ["VersionTLS12", "TLSv1.2", []],
  ["VersionTLS13", "TLSv1.3", []],
  ["VersionTLS10", "TLSv1.2", ["--tls-min-version=VersionTLS10: TLS 1.2 is the lowest version, as HTTP/2 demands"]],
])("the lowest TLS version %j is %s", (text, tlsMinVersion, warnings) => {
  expect(options([`--tls-min-version=${text}`])).toMatchObject({ tlsMinVersion, warnings });
});

test("TLS settings that cannot work stop the start, those that do nothing are said", () => {
  expect(problems("--tls-min-version=TLS1.2")[0]).toContain(
    "is not one of VersionTLS10, VersionTLS11, VersionTLS12, VersionTLS13",
  );
  expect(
    options(["--tls-cipher-suites=TLS_AES_128_GCM_SHA256,TLS_NO", "--metrics-client-ca-file=ca.crt"]),
  ).toMatchObject({
    problems: [
      expect.stringContaining('"TLS_NO" is not a cipher suite'),
      '"metrics-client-ca-file" requires "metrics-cert-dir"',
    ],
  });
  expect(options(["--metrics-cert-dir=certs", "--metrics-endpoint-auth=false"])).toMatchObject({
    problems: [expect.stringContaining('"metrics-cert-dir" requires')],
  });
  expect(options(["--enable-cert-reload"])).toMatchObject({
    warnings: ["--enable-cert-reload has no effect without --cert-path"],
  });
  expect(options(["--secure-serving=false", "--cert-path=c", "--enable-cert-reload"])).toMatchObject({
    warnings: ["--cert-path, --enable-cert-reload without effect: --secure-serving is false"],
  });
  expect(
    options(["--metrics-cert-dir=certs", "--metrics-client-ca-file=ca.crt", "--metrics-endpoint-auth=false"]),
  ).toMatchObject({ metricsCertDirectory: "certs", metricsClientCaFile: "ca.crt" });
});

test.each([
  [[], {}, false],
  [["--tracing"], {}, true],
  [["--tracing=false"], { OTEL_TRACES_EXPORTER: "otlp" }, false],
  [[], { OTEL_TRACES_EXPORTER: "otlp" }, true],
])("%j with %j traces: %s", (args, environment, tracing) => {
  expect(options(args, environment)).toMatchObject({ tracing });
});

test.each([
  [[], {}, false],
  [[], { KUBERNETES_SERVICE_HOST: "10.0.0.1" }, true],
  [["--drain-whole-window=false"], { KUBERNETES_SERVICE_HOST: "10.0.0.1" }, false],
  [["--drain-whole-window=true"], {}, true],
])("%j with %j keeps the whole drain window: %s", (args, environment, drainWholeWindow) => {
  expect(options(args, environment)).toMatchObject({ drainWholeWindow });
});
