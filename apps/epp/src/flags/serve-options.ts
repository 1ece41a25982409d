import type { LogLevel } from "@pointsman/telemetry";
import { levelOfVerbosity } from "@pointsman/telemetry";
import { cipherSuites } from "./cipher-suites.ts";
import { type KubernetesOptions, kubernetesChoice } from "./kubernetes-options.ts";
import type { FlagValue, ParsedFlags } from "./parse-flags.ts";

/** Shortest time between scrapes. */
export const minRefreshMs: number = 50;
const defaultMaxReceiveBytes = 4 * 1024 * 1024;

/** What `serve` runs with, out of flags and environment. */
export interface ServeOptions {
  readonly grpcPort: number;
  readonly grpcHealthPort: number;
  readonly metricsPort: number;
  /** `undefined`: no proxy. */
  readonly httpProxyPort: number | undefined;
  /** Path of a Unix socket that serves ext_proc besides the port. */
  readonly extProcSocket: string | undefined;
  readonly bindAddress: string;
  readonly extProcTransport: "http2" | "grpc-js";
  readonly poolName: string;
  readonly poolNamespace: string;
  /** The pool in Kubernetes that the flags name; a discovery plugin comes before it. */
  readonly kubernetes: KubernetesOptions | undefined;
  readonly leaderElection: boolean;
  /** Ask the API server who may use the metrics port; without Kubernetes nobody is asked. */
  readonly metricsAuth: boolean;
  readonly configFile: string;
  readonly configText: string;
  readonly endpointsFile: string;
  readonly allowExperimental: boolean;
  readonly drainTimeoutMs: number;
  /** Serve on for the whole drain time-out, also when no request is open. */
  readonly drainWholeWindow: boolean;
  readonly maxReceiveBytes: number;
  readonly maxSendBytes: number | undefined;
  readonly refreshMetricsIntervalMs: number;
  readonly stalenessMs: number;
  readonly healthOnExtProcPort: boolean;
  readonly secureServing: boolean;
  readonly certPath: string;
  readonly certReload: boolean;
  /** The transport's own minimum when absent. */
  readonly tlsMinVersion: "TLSv1.2" | "TLSv1.3" | undefined;
  /** In OpenSSL's notation; the transport's own list when absent. */
  readonly tlsCiphers: string | undefined;
  /** Empty: the metrics port speaks plain HTTP. */
  readonly metricsCertDirectory: string;
  /** Empty: no client certificates are asked for. */
  readonly metricsClientCaFile: string;
  readonly pprof: boolean;
  readonly streamMetrics: boolean;
  readonly tracing: boolean;
  readonly ignoreSubsetHint: boolean;
  readonly emitScores: boolean;
  readonly maxRequestBodyBytes: number;
  readonly maxHeldBodyBytes: number;
  readonly configReload: boolean;
  readonly decisionLogSize: number;
  /** Metrics of requests are a reason to read bodies and answers. */
  readonly requestMetrics: boolean;
  /** Show metrics under the names of earlier releases of llm-d, too. */
  readonly deprecatedMetrics: boolean;
  /** How the bodies of refusals are written. */
  readonly errorFormat: "text" | "json";
  readonly logLevel: LogLevel;
  /** Said once at start. */
  readonly warnings: readonly string[];
}

/** Turns parsed flags into options, or says what does not fit together. */
export function serveOptions(
  flags: ParsedFlags,
  environment: Readonly<Record<string, string | undefined>>,
): ServeOptions | { readonly problems: readonly string[] } {
  const problems: string[] = [];
  const warnings = [...flags.warnings];
  // The table fixes each flag's kind, and the parser checked the value against it.
  const get = <T extends FlagValue>(name: string): T => flags.values.get(name) as T;

  if (flags.positional.length > 0) {
    problems.push(`unexpected argument ${JSON.stringify(flags.positional[0])}; see --help for the commands`);
  }
  const configFile = get<string>("config-file");
  const configText = get<string>("config-text");
  const endpointsFile = get<string>("endpoints-file");
  if (configFile !== "" && configText !== "")
    problems.push("--config-file and --config-text exclude each other; give one");
  if (endpointsFile !== "" && (configFile !== "" || configText !== "")) {
    problems.push(
      "--endpoints-file goes with the built-in configuration only; in a configuration of your own add a file-discovery plugin",
    );
  }
  let refreshMetricsIntervalMs = get<number>("refresh-metrics-interval");
  if (refreshMetricsIntervalMs < minRefreshMs) {
    warnings.push(`--refresh-metrics-interval is below ${minRefreshMs}ms; ${minRefreshMs}ms is used`);
    refreshMetricsIntervalMs = minRefreshMs;
  }
  const stalenessMs = get<number>("metrics-staleness-threshold");
  if (stalenessMs <= refreshMetricsIntervalMs) {
    warnings.push(
      `--metrics-staleness-threshold is ${stalenessMs}ms, no longer than --refresh-metrics-interval of ${refreshMetricsIntervalMs}ms: signals turn unknown before they are read again`,
    );
  }
  const bindAddress = get<string>("bind-address");
  if (bindAddress === "") problems.push("--bind-address is empty; 0.0.0.0 stands for all addresses");
  const logLevel = logLevelOf(get<string>("zap-log-level"), get<number>("v"));
  if (logLevel === undefined) {
    problems.push(
      `--zap-log-level: ${JSON.stringify(get<string>("zap-log-level"))} is not debug, info, error, panic or a verbosity`,
    );
  }
  const suites = cipherSuites(get<readonly string[]>("tls-cipher-suites"));
  problems.push(...suites.problems);
  warnings.push(...suites.warnings, ...tlsWarnings(flags));
  problems.push(...metricsTlsProblems(flags));
  const minVersion = get<string>("tls-min-version");
  const choice = kubernetesChoice(flags, environment);
  problems.push(...choice.problems);
  warnings.push(...choice.warnings);
  if (
    choice.kubernetes === undefined &&
    get<string>("metrics-cert-dir") !== "" &&
    get<string>("metrics-client-ca-file") === ""
  ) {
    warnings.push("the metrics port has TLS and asks nobody who they are: --metrics-endpoint-auth needs Kubernetes");
  }
  let poolNamespace = get<string>("pool-namespace");
  if (poolNamespace === "") poolNamespace = environment["NAMESPACE"] ?? "";
  const httpProxyPort = get<number>("http-proxy-port");
  if (problems.length > 0 || logLevel === undefined) return { problems };
  return {
    grpcPort: get("grpc-port"),
    grpcHealthPort: get("grpc-health-port"),
    metricsPort: get("metrics-port"),
    httpProxyPort: httpProxyPort === -1 ? undefined : httpProxyPort,
    extProcSocket: get<string>("ext-proc-socket") || undefined,
    bindAddress,
    extProcTransport: get<string>("ext-proc-transport") === "grpc-js" ? "grpc-js" : "http2",
    poolName: choice.poolName ?? "epp",
    poolNamespace: poolNamespace || "default",
    kubernetes: choice.kubernetes,
    leaderElection: get("ha-enable-leader-election"),
    metricsAuth: get("metrics-endpoint-auth"),
    configFile,
    configText,
    endpointsFile,
    allowExperimental: get("allow-experimental-plugins"),
    drainTimeoutMs: get("drain-timeout"),
    drainWholeWindow: wholeWindow(get("drain-whole-window"), environment),
    maxReceiveBytes: get<number | undefined>("grpc-max-recv-msg-size") ?? defaultMaxReceiveBytes,
    maxSendBytes: get<number | undefined>("grpc-max-send-msg-size"),
    refreshMetricsIntervalMs,
    stalenessMs,
    healthOnExtProcPort: get("health-checking"),
    secureServing: get("secure-serving"),
    certPath: get("cert-path"),
    certReload: get("enable-cert-reload"),
    tlsMinVersion: minVersion === "VersionTLS13" ? "TLSv1.3" : minVersion === "" ? undefined : "TLSv1.2",
    tlsCiphers: suites.ciphers,
    metricsCertDirectory: get("metrics-cert-dir"),
    metricsClientCaFile: get("metrics-client-ca-file"),
    pprof: get("enable-pprof"),
    streamMetrics: get("enable-grpc-stream-metrics"),
    tracing:
      get<boolean>("tracing") && (flags.given.has("tracing") || (environment["OTEL_TRACES_EXPORTER"] ?? "") !== ""),
    ignoreSubsetHint: get("disable-endpoint-subset-filter"),
    emitScores: get("emit-endpoint-scores"),
    maxRequestBodyBytes: get("max-request-body-size"),
    maxHeldBodyBytes: get("max-held-body-size"),
    configReload: get("config-reload"),
    decisionLogSize: get("decision-log-size"),
    requestMetrics: get("request-metrics"),
    deprecatedMetrics: get("deprecated-metrics"),
    errorFormat: get<string>("error-format") === "json" ? "json" : "text",
    logLevel,
    warnings,
  };
}

/** What is asked for of TLS and does not happen. */
function tlsWarnings({ values, given }: ParsedFlags): string[] {
  const warnings: string[] = [];
  const asked = ["cert-path", "enable-cert-reload", "tls-min-version", "tls-cipher-suites"].filter((name) =>
    given.has(name),
  );
  if (values.get("secure-serving") === false) {
    if (asked.length === 0) return warnings;
    warnings.push(`${asked.map((name) => `--${name}`).join(", ")} without effect: --secure-serving is false`);
    return warnings;
  }
  if (values.get("enable-cert-reload") === true && values.get("cert-path") === "") {
    warnings.push("--enable-cert-reload has no effect without --cert-path");
  }
  const minVersion = values.get("tls-min-version");
  if (minVersion === "VersionTLS10" || minVersion === "VersionTLS11") {
    warnings.push(`--tls-min-version=${minVersion}: TLS 1.2 is the lowest version, as HTTP/2 demands`);
  }
  return warnings;
}

/** Source: spec ext-proc section 10.1. */
function metricsTlsProblems({ values }: ParsedFlags): string[] {
  const problems: string[] = [];
  const [directory, caFile] = [values.get("metrics-cert-dir"), values.get("metrics-client-ca-file")];
  if (directory === "" && caFile !== "") problems.push('"metrics-client-ca-file" requires "metrics-cert-dir"');
  if (directory !== "" && caFile === "" && values.get("metrics-endpoint-auth") === false) {
    problems.push(
      '"metrics-cert-dir" requires "metrics-client-ca-file" or "metrics-endpoint-auth": TLS alone keeps nobody out',
    );
  }
  return problems;
}

/** In a pod, endpoints of a service are removed only after the pod was told to end. */
function wholeWindow(flag: string, environment: Readonly<Record<string, string | undefined>>): boolean {
  if (flag === "auto") return (environment["KUBERNETES_SERVICE_HOST"] ?? "") !== "";
  return flag === "true";
}

function logLevelOf(name: string, verbosity: number): LogLevel | undefined {
  const zap = name.toLowerCase();
  if (zap === "") return levelOfVerbosity(verbosity < 0 ? 2 : verbosity);
  if (zap === "debug" || zap === "info" || zap === "error") return zap;
  // Nothing here is worse than an error.
  if (zap === "panic") return "silent";
  return /^\d+$/.test(zap) ? levelOfVerbosity(Number(zap)) : undefined;
}
