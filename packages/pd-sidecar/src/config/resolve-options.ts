import { readFileSync } from "node:fs";
import { errorText } from "@pointsman/core";
import type { EcConnectorName } from "../encode/encoder-stage.ts";
import type { PoolReference } from "../targets/pool-targets.ts";
import { makeTarget, parseTarget } from "../upstream/target.ts";
import type { UpstreamTls } from "../upstream/upstream-limits.ts";
import { moriioOptions } from "./moriio-options.ts";
import { parseArguments } from "./parse-arguments.ts";
import { readConfiguration } from "./read-configuration.ts";
import { Settings } from "./settings.ts";
import { kvConnectorNames, type RankOptions, type SidecarOptions } from "./sidecar-options.ts";

export type LogLevelName = "error" | "info" | "debug";

/** The result, or every problem of flags, configuration and environment. */
export type ResolvedSidecar =
  | { readonly options: SidecarOptions; readonly logLevel: LogLevelName; readonly warnings: readonly string[] }
  | { readonly problems: readonly string[] };

const maxPort = 65_535;
const defaultModelServerPort = 8200;
const stages = ["prefiller", "decoder", "encoder"] as const;
const poolGroups = ["inference.networking.k8s.io", "inference.networking.x-k8s.io"];
const ecConnectors = ["", "ec-example", "ec-nixl"] as const;

/** Works out what a command line, its configuration and the environment ask for. */
export function resolveOptions(
  args: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): ResolvedSidecar {
  const { given, problems: wrong, warnings: told } = parseArguments(args);
  const problems = [...wrong];
  const warnings = [...told];
  const configuration = configurationOf(given, problems);
  const settings = new Settings(given, configuration, environment, problems);

  const ranks = ranksOf(settings);
  const p2pConnectorPort = settings.integer("p2p-connector-port", 1, maxPort);
  if (p2pConnectorPort + ranks.length - 1 > maxPort) {
    problems.push(
      `--p2p-connector-port ${p2pConnectorPort} plus data-parallel rank ${ranks.length - 1} exceeds ${maxPort}`,
    );
  }
  const kvConnector = settings.oneOf("kv-connector", kvConnectorNames);
  const enableP2pPull = settings.flag("enable-p2p-pull") === true;
  if (enableP2pPull && kvConnector !== "nixlv2") {
    problems.push(`--enable-p2p-pull requires --kv-connector=nixlv2 (got ${JSON.stringify(kvConnector)})`);
  }
  const prefillMaxRetries = Math.max(0, settings.integer("prefill-max-retries", Number.MIN_SAFE_INTEGER));
  const prefillRetryBackoffMs = settings.durationMs("prefill-retry-backoff");
  if (prefillMaxRetries > 0 && prefillRetryBackoffMs === 0) {
    problems.push("--prefill-retry-backoff must be greater than 0 when --prefill-max-retries is");
  }
  const idle = settings.integer("max-idle-conns-per-host", Number.MIN_SAFE_INTEGER);
  const podIp = podIpOf(environment["POD_IP"], problems);
  const options: SidecarOptions = {
    host: settings.text("bind-address") === "" ? undefined : settings.text("bind-address"),
    ranks,
    podIp,
    kvConnector,
    ecConnector: optionalText<EcConnectorName>(settings.oneOf("ec-connector", ecConnectors)),
    mooncakeBootstrapPort: settings.integer("mooncake-bootstrap-port", 1, maxPort),
    sglangBootstrapPort: environmentPort(environment, "SGLANG_BOOTSTRAP_PORT", 8998, problems),
    p2pConnectorPort,
    enableP2pPull,
    secureProxy: settings.flag("secure-proxy") !== false,
    certPath: optionalText(settings.text("cert-path")),
    tls: tlsOf(settings),
    targets: {
      ...poolOf(settings),
      hosts: settings.list("allowed-targets").length === 0 ? undefined : settings.list("allowed-targets"),
      file: optionalText(settings.text("allowed-targets-file")),
    },
    prefillerSampling: samplingOf(settings, environment),
    maxIdleConnsPerHost: idle <= 0 ? 1024 : idle,
    prefillMaxRetries,
    prefillRetryBackoffMs,
    prefillFailurePolicy: settings.oneOf("prefill-failure-policy", ["return", "decode-only"]),
    prefillTimeoutMs: settings.optionalDurationMs("prefill-timeout"),
    encodeTimeoutMs: settings.optionalDurationMs("encode-timeout"),
    encodeMaxParallel: settings.integer("encode-max-parallel", 1, 10_000),
    decodeChunkTokens: settings.integer("decode-chunk-size", 0),
    maxBodyBytes: settings.integer("max-body-bytes", 1, 256 * 1024 * 1024),
    metrics: metricsAddress(settings, environment, problems),
    shutdownTimeoutMs: settings.durationMs("shutdown-timeout"),
    accessLog: settings.flag("access-log") === true,
    tracing: settings.flag("tracing") === true,
    moriio: moriioOptions(settings, environment, kvConnector),
  };
  if (settings.isFlag("vllm-port") || settings.isConfigured("vllm-port")) {
    warnings.push("--vllm-port is deprecated; use --model-server-port");
  }
  const logLevel = logLevelOf(settings);
  return problems.length > 0 ? { problems } : { options, logLevel, warnings };
}

function configurationOf(given: ReadonlyMap<string, readonly string[]>, problems: string[]) {
  const inline = given.get("configuration")?.at(-1) ?? "";
  const file = given.get("configuration-file")?.at(-1) ?? "";
  if (inline !== "" && file !== "") {
    problems.push("flags --configuration and --configuration-file are mutually exclusive");
    return new Map<string, readonly string[]>();
  }
  let text = inline;
  if (file !== "") {
    try {
      text = readFileSync(file, "utf8");
    } catch (thrown: unknown) {
      problems.push(`--configuration-file: cannot read ${file}: ${errorText(thrown)}`);
      return new Map<string, readonly string[]>();
    }
  }
  const read = readConfiguration(text, file === "" ? "--configuration" : file);
  problems.push(...read.problems);
  return read.given;
}

function ranksOf(settings: Settings): RankOptions[] {
  const size = settings.integer("data-parallel-size", 1);
  if (size >= maxPort) {
    settings.problems.push("--port invalid port range");
    return [];
  }
  const first = firstPort(settings, "port", settings.text("port"), size);
  const model = modelServerPort(settings);
  const firstModel = firstPort(settings, model.name, model.text, size);
  return Array.from({ length: size }, (_, rank) => ({
    port: first + rank,
    decoder: makeTarget("localhost", firstModel + rank),
  }));
}

function firstPort(settings: Settings, name: string, text: string, size: number): number {
  const { problems } = settings;
  if (!/^[+-]?[0-9]{1,9}$/.test(text)) {
    problems.push(`--${name} must be a valid integer, got ${JSON.stringify(text.slice(0, 64))}`);
    return 1;
  }
  const port = Number(text);
  if (port < 1 || port > maxPort) {
    problems.push(`--${name} start port ${port} is out of valid range [1, ${maxPort}]`);
  } else if (port + size - 1 > maxPort) {
    problems.push(`--${name} port range [${port}, ${port + size - 1}] exceeds maximum port value`);
  }
  return port;
}

/** Flags before configuration, in each the new name before the old. */
function modelServerPort(settings: Settings): { readonly name: string; readonly text: string } {
  for (const given of [settings.isFlag.bind(settings), settings.isConfigured.bind(settings)]) {
    for (const name of ["model-server-port", "vllm-port"]) {
      if (given(name) && settings.text(name) !== "") return { name, text: settings.text(name) };
    }
  }
  return { name: "model-server-port", text: String(defaultModelServerPort) };
}

function tlsOf(settings: Settings): SidecarOptions["tls"] {
  const stagesOf = (name: string): ReadonlySet<string> => {
    const names = settings.list(name);
    const unknown = names.filter((each) => !stages.some((stage) => stage === each));
    if (unknown.length > 0) {
      settings.problems.push(
        `--${name} stages must be one of: ${stages.join(", ")}, got ${JSON.stringify(unknown[0])}`,
      );
    }
    return new Set(names);
  };
  const enabled = stagesOf("enable-tls");
  const skipped = stagesOf("tls-insecure-skip-verify");
  const of = (stage: (typeof stages)[number]): UpstreamTls | undefined =>
    enabled.has(stage) ? { skipVerify: skipped.has(stage) } : undefined;
  return { prefill: of("prefiller"), decode: of("decoder"), encode: of("encoder") };
}

function poolOf(settings: Settings): { readonly pool: PoolReference | undefined; readonly poolRequired: boolean } {
  const { problems } = settings;
  const wanted = settings.flag("enable-ssrf-protection");
  const text = settings.text("inference-pool");
  const parts = text.split("/");
  if (parts.length > 2) {
    problems.push("--inference-pool must be in format 'namespace/name' or 'name', not multiple slashes");
  } else if (text !== "" && parts.includes("")) {
    problems.push("--inference-pool cannot have empty namespace or name");
  }
  const hasList = settings.text("allowed-targets") !== "" || settings.text("allowed-targets-file") !== "";
  if (wanted === true && text === "" && !hasList) {
    problems.push(
      "--inference-pool flag or INFERENCE_POOL environment variable is required when --enable-ssrf-protection is true",
    );
  }
  const group = settings.text("pool-group");
  if (wanted === true && !poolGroups.includes(group)) {
    problems.push(`--pool-group must be one of: ${poolGroups.join(", ")}, got ${JSON.stringify(group.slice(0, 64))}`);
  }
  const name = parts.at(-1) ?? "";
  const namespace = parts.length === 2 ? parts[0]! : "default";
  const pool = text === "" || wanted === false ? undefined : { namespace, name, group };
  return { pool, poolRequired: wanted === true };
}

/** A value of the environment that is no boolean is ignored, as before. */
function samplingOf(settings: Settings, environment: Readonly<Record<string, string | undefined>>): boolean {
  const name = "enable-prefiller-sampling";
  if (settings.isFlag(name) || settings.isConfigured(name)) return settings.flag(name) === true;
  return ["1", "t", "T", "true", "TRUE", "True"].includes(environment["ENABLE_PREFILLER_SAMPLING"] ?? "");
}

function metricsAddress(
  settings: Settings,
  environment: Readonly<Record<string, string | undefined>>,
  problems: string[],
): SidecarOptions["metrics"] {
  const port = settings.integer("metrics-port", 0, maxPort);
  const host = settings.text("bind-address") === "" ? undefined : settings.text("bind-address");
  if (port > 0) return { host, port };
  const address = environment["MORIIO_METRICS_ADDR"] ?? "";
  if (address === "") return undefined;
  const found = /^(.*):([0-9]{1,5})$/.exec(address);
  const envPort = Number(found?.[2]);
  if (found === null || envPort > maxPort) {
    problems.push(
      `environment variable MORIIO_METRICS_ADDR must be host:port, got ${JSON.stringify(address.slice(0, 64))}`,
    );
    return undefined;
  }
  const envHost = found[1]!.replace(/^\[|\]$/g, "");
  return { host: envHost === "" ? undefined : envHost, port: envPort };
}

function podIpOf(text: string | undefined, problems: string[]): string | undefined {
  if (text === undefined || text === "") return undefined;
  const target = parseTarget(text.includes(":") ? `[${text}]:1` : `${text}:1`);
  if (target === undefined)
    problems.push(`environment variable POD_IP must be an address, got ${JSON.stringify(text.slice(0, 64))}`);
  return target?.host;
}

function environmentPort(
  environment: Readonly<Record<string, string | undefined>>,
  name: string,
  fallback: number,
  problems: string[],
): number {
  const text = environment[name] ?? "";
  if (text === "") return fallback;
  const port = Number(text);
  if (/^[0-9]{1,5}$/.test(text) && port >= 1 && port <= maxPort) return port;
  problems.push(
    `environment variable ${name} must be a port from 1 to ${maxPort}, got ${JSON.stringify(text.slice(0, 64))}`,
  );
  return fallback;
}

function logLevelOf(settings: Settings): LogLevelName {
  const text = settings.text("zap-log-level");
  if (/^[0-9]{1,3}$/.test(text)) return Number(text) >= 4 ? "debug" : "info";
  return settings.oneOf("zap-log-level", ["info", "error", "debug"]);
}

function optionalText<T extends string>(text: T | ""): T | undefined {
  return text === "" ? undefined : text;
}
