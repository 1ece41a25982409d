import type { NamedPlugin, Parser } from "@pointsman/core";
import { type HealthChecks, healthStatus } from "@pointsman/ext-proc";

const extProcService = "envoy.service.ext_proc.v3.ExternalProcessor";
const readinessNames: ReadonlySet<string> = new Set(["", "readiness", extProcService]);

export interface EppHealthOptions {
  /** Why the pool and its endpoints are not known, `undefined` when they are. */
  notSynced(): string | undefined;
  draining(): boolean;
  parsers(): readonly NamedPlugin<Parser>[];
  plugins(): readonly NamedPlugin[];
  /** Protocol of the pool, where it states one. */
  appProtocol?(): string | undefined;
  /** Whether this replica leads; absent without leader election. */
  leading?(): boolean;
}

export interface EppHealth extends HealthChecks {
  /** Why a service does not serve, `undefined` when it does. */
  notServing(service: string): string | undefined;
}

/**
 * Health of the process. Readiness names need a known pool, parsers that fit its protocol, ready plugins, and no drain;
 * with leader election this replica leads, too. `liveness` needs nothing: a process that can answer is alive. Other names
 * need all but the plugins; with leader election they are unknown. Source: spec ext-proc section 10.6 and 13.7.
 */
export function eppHealth(options: EppHealthOptions): EppHealth {
  const protocolProblem = (): string | undefined => {
    const appProtocol = options.appProtocol?.();
    if (appProtocol === undefined || appProtocol === "") return undefined;
    const misfit = options
      .parsers()
      .find(({ instance }) => instance.appProtocols.length > 0 && !instance.appProtocols.includes(appProtocol));
    return misfit === undefined
      ? undefined
      : `parser "${misfit.name}" does not speak the pool's protocol ${appProtocol}`;
  };
  const pluginProblem = (): string | undefined => {
    for (const { name, instance } of options.plugins()) {
      const missing = instance.notReady?.();
      if (missing !== undefined) return `plugin "${name}" is not ready: ${missing}`;
    }
    return undefined;
  };
  const notServing = (service: string): string | undefined => {
    if (service === "liveness") return undefined;
    if (options.draining()) return "draining";
    const missing = options.notSynced();
    if (missing !== undefined) return missing;
    if (options.leading?.() === false) return "another replica leads";
    return protocolProblem() ?? (readinessNames.has(service) ? pluginProblem() : undefined);
  };
  const elects = options.leading !== undefined;
  return {
    notServing,
    check: (service) => {
      if (elects && service !== "liveness" && !readinessNames.has(service)) return healthStatus.serviceUnknown;
      return notServing(service) === undefined ? healthStatus.serving : healthStatus.notServing;
    },
    listed: elects ? [extProcService, "liveness", "readiness"] : [extProcService],
  };
}
