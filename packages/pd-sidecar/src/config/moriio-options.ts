import type { Settings } from "./settings.ts";
import type { KvConnectorName, MoriioOptions } from "./sidecar-options.ts";

const maxPort = 65_535;

/** Reads and checks the settings of MoRI-IO. */
export function moriioOptions(
  settings: Settings,
  environment: Readonly<Record<string, string | undefined>>,
  connector: KvConnectorName,
): MoriioOptions {
  const { problems } = settings;
  const options: MoriioOptions = {
    writeMode: settings.flag("moriio-write-mode") === true,
    parallelDispatch: settings.flag("moriio-parallel-dispatch") === true,
    parallelWaitTimeoutMs: settings.durationMs("moriio-parallel-decode-wait-timeout"),
    localPodIp: settings.text("moriio-local-pod-ip") === "" ? undefined : settings.text("moriio-local-pod-ip"),
    decodeNotifyPort: settings.integer("moriio-decode-notify-port", 1, maxPort),
    prefillNotifyPort: settings.integer("moriio-prefill-notify-port", 1, maxPort),
    decodeHandshakePort: settings.integer("moriio-decode-handshake-port", 1, maxPort),
    prefillHandshakePort: settings.integer("moriio-prefill-handshake-port", 1, maxPort),
    tpSize: settings.integer("moriio-tp-size", 1),
    dpSize: settings.integer("moriio-dp-size", 1),
    dpSizeLocal: settings.integer("moriio-dp-size-local", 0),
    remoteHosts: settings.list("moriio-remote-hosts"),
    decodeHosts: settings.list("moriio-decode-hosts"),
    resolveTtlMs: seconds(environment, "MORIIO_DNS_RESOLVE_TTL_SECONDS", 30, problems) * 1000,
    resolveTimeoutMs: seconds(environment, "MORIIO_DNS_RESOLVE_TIMEOUT_SECONDS", 5, problems) * 1000,
  };
  if (options.writeMode && connector !== "nixlv2") {
    problems.push(`--moriio-write-mode requires --kv-connector=nixlv2 (got ${JSON.stringify(connector)})`);
  }
  if (options.writeMode && options.localPodIp === undefined) {
    problems.push("--moriio-local-pod-ip or the environment variable POD_IP is required with --moriio-write-mode");
  }
  if (options.parallelDispatch && !options.writeMode) {
    problems.push("--moriio-parallel-dispatch requires --moriio-write-mode");
  }
  checkHosts("moriio-remote-hosts", options.remoteHosts, options, problems);
  checkHosts("moriio-decode-hosts", options.decodeHosts, options, problems);
  return options;
}

function checkHosts(flag: string, hosts: readonly string[], options: MoriioOptions, problems: string[]): void {
  const { dpSize, dpSizeLocal } = options;
  if (hosts.length <= 1) return;
  if (dpSizeLocal > 0 && dpSize % dpSizeLocal === 0 && dpSize / dpSizeLocal === hosts.length) return;
  problems.push(
    `--${flag} names ${hosts.length} hosts, so --moriio-dp-size (${dpSize}) has to be that many times ` +
      `--moriio-dp-size-local (${dpSizeLocal})`,
  );
}

function seconds(
  environment: Readonly<Record<string, string | undefined>>,
  name: string,
  fallback: number,
  problems: string[],
): number {
  const text = environment[name] ?? "";
  if (text === "") return fallback;
  const value = Number(text);
  if (/^[0-9]{1,6}$/.test(text) && value > 0) return value;
  problems.push(`environment variable ${name} must be a number of seconds, got ${JSON.stringify(text.slice(0, 64))}`);
  return fallback;
}
