import { readFileSync, unwatchFile, watchFile } from "node:fs";
import { EppError, errorText, type Logger } from "@pointsman/core";
import { parse } from "yaml";
import { parseTarget, type Target } from "../upstream/target.ts";

/** Decides which servers requests may be sent to, by host; the port does not count. */
export interface AllowedTargets {
  allows(target: Target): boolean;
  /** Whether anything is refused at present. */
  restricts(): boolean;
  stop(): void;
}

export const everyTarget: AllowedTargets = { allows: () => true, restricts: () => false, stop: () => {} };

/** Allows a fixed list of hosts. Throws `PD_SIDECAR_TARGETS` for a text that is no host. */
export function listedTargets(hosts: readonly string[], from: string): AllowedTargets {
  const allowed = hostSet(hosts, from);
  return { allows: ({ host }) => allowed.has(host), restricts: () => true, stop: () => {} };
}

/** Allows what any of several allow. */
export function anyOfTargets(all: readonly AllowedTargets[]): AllowedTargets {
  return {
    allows: (target) => all.some((each) => each.allows(target)),
    restricts: () => all.every((each) => each.restricts()),
    stop: () => {
      for (const each of all) each.stop();
    },
  };
}

const lookIntervalMs = 1000;
const maxFileBytes = 16 * 1024 * 1024;

/**
 * Allows the hosts of a YAML file: a list of hosts, or an endpoints file of the picker, whose addresses count. A changed
 * file is read within a second; one that cannot be read is reported and leaves things as they are. Throws
 * `PD_SIDECAR_TARGETS` when it cannot be read at the start.
 */
export function targetsOfFile(file: string, logger: Logger): AllowedTargets {
  let allowed = readHosts(file);
  const changed = (): void => {
    try {
      allowed = readHosts(file);
      logger.info({ file, hosts: allowed.size }, "allowed targets read");
    } catch (thrown: unknown) {
      logger.error({ file, problem: errorText(thrown) }, "allowed targets not read; those in use stay");
    }
  };
  watchFile(file, { interval: lookIntervalMs, persistent: false }, changed);
  return { allows: ({ host }) => allowed.has(host), restricts: () => true, stop: () => unwatchFile(file, changed) };
}

function readHosts(file: string): ReadonlySet<string> {
  let document: unknown;
  try {
    const text = readFileSync(file, "utf8");
    if (text.length > maxFileBytes) throw new Error(`it has more than ${maxFileBytes} characters`);
    document = parse(text);
  } catch (thrown: unknown) {
    throw new EppError("PD_SIDECAR_TARGETS", `--allowed-targets-file: cannot read ${file}: ${errorText(thrown)}`, {
      cause: thrown,
    });
  }
  const list: unknown = isRecord(document) ? document["endpoints"] : document;
  if (!Array.isArray(list)) {
    throw new EppError("PD_SIDECAR_TARGETS", `${file}: holds neither a list of hosts nor a list "endpoints"`);
  }
  const hosts = list.map((entry: unknown) => (isRecord(entry) ? entry["address"] : entry));
  return hostSet(hosts, file);
}

function hostSet(hosts: readonly unknown[], from: string): ReadonlySet<string> {
  return new Set(
    hosts.map((host) => {
      const text = String(host).trim();
      // Any port: only the host counts.
      const target = parseTarget(text.includes(":") && !text.startsWith("[") ? `[${text}]:1` : `${text}:1`);
      if (target === undefined) {
        throw new EppError("PD_SIDECAR_TARGETS", `${from}: ${JSON.stringify(text.slice(0, 64))} is no host`);
      }
      return target.host;
    }),
  );
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
