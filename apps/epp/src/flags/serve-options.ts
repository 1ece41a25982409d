import type { LogLevel } from "@pointsman/telemetry";
import { levelOfVerbosity } from "@pointsman/telemetry";
import type { FlagValue, ParsedFlags } from "./parse-flags.ts";

/** Shortest time between scrapes. */
const minRefreshMs = 50;
const defaultMaxReceiveBytes = 4 * 1024 * 1024;

/** What `serve` runs with, out of flags and environment. */
export interface ServeOptions {
  readonly grpcPort: number;
  readonly grpcHealthPort: number;
  readonly metricsPort: number;
  /** `undefined`: no proxy. */
  readonly httpProxyPort: number | undefined;
  readonly bindAddress: string;
  readonly extProcTransport: "http2" | "grpc-js";
  readonly poolName: string;
  readonly poolNamespace: string;
  readonly configFile: string;
  readonly configText: string;
  readonly endpointsFile: string;
  readonly allowExperimental: boolean;
  readonly drainTimeoutMs: number;
  readonly maxReceiveBytes: number;
  readonly maxSendBytes: number | undefined;
  readonly refreshMetricsIntervalMs: number;
  readonly stalenessMs: number;
  readonly healthOnExtProcPort: boolean;
  readonly secureServing: boolean;
  readonly certPath: string;
  readonly ignoreSubsetHint: boolean;
  readonly emitScores: boolean;
  readonly maxRequestBodyBytes: number;
  readonly decisionLogSize: number;
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
  const logLevel = logLevelOf(get<string>("zap-log-level"), get<number>("v"));
  if (logLevel === undefined) {
    problems.push(
      `--zap-log-level: ${JSON.stringify(get<string>("zap-log-level"))} is not debug, info, error or a verbosity`,
    );
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
    bindAddress: get("bind-address"),
    extProcTransport: get<string>("ext-proc-transport") === "grpc-js" ? "grpc-js" : "http2",
    poolName: get<string>("pool-name") || "epp",
    poolNamespace: poolNamespace || "default",
    configFile,
    configText,
    endpointsFile,
    allowExperimental: get("allow-experimental-plugins"),
    drainTimeoutMs: get("drain-timeout"),
    maxReceiveBytes: get<number | undefined>("grpc-max-recv-msg-size") ?? defaultMaxReceiveBytes,
    maxSendBytes: get<number | undefined>("grpc-max-send-msg-size"),
    refreshMetricsIntervalMs,
    stalenessMs: get("metrics-staleness-threshold"),
    healthOnExtProcPort: get("health-checking"),
    secureServing: get("secure-serving"),
    certPath: get("cert-path"),
    ignoreSubsetHint: get("disable-endpoint-subset-filter"),
    emitScores: get("emit-endpoint-scores"),
    maxRequestBodyBytes: get("max-request-body-size"),
    decisionLogSize: get("decision-log-size"),
    logLevel,
    warnings,
  };
}

function logLevelOf(zap: string, verbosity: number): LogLevel | undefined {
  if (zap === "") return levelOfVerbosity(verbosity < 0 ? 2 : verbosity);
  if (zap === "debug" || zap === "info" || zap === "error") return zap;
  return /^\d+$/.test(zap) ? levelOfVerbosity(Number(zap)) : undefined;
}
