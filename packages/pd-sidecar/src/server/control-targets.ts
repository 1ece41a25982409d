import { randomInt } from "node:crypto";
import { dataParallelTargetHeader, encoderHeader, kvSourceHeader, prefillHeader } from "../client/control-headers.ts";
import type { Exchange } from "../exchange.ts";
import type { AllowedTargets } from "../targets/allowed-targets.ts";
import { parseTarget, type Target } from "../upstream/target.ts";

/** Where a request's headers send it. */
export interface ControlTargets {
  readonly prefill: Target | "malformed" | "denied" | undefined;
  readonly encoders: readonly Target[];
  readonly kvSource: Target | undefined;
}

export interface ControlOptions {
  readonly allowed: AllowedTargets;
  /** One of several prefill servers at random instead of the first. */
  readonly samples: boolean;
  readonly pullsFromSources: boolean;
  readonly encodes: boolean;
}

/** Most encoders of one request. */
const maxEncoders = 1024;

/** Reads the picker's headers. Addresses that are not used are counted. */
export function controlTargets(exchange: Exchange, options: ControlOptions): ControlTargets {
  return {
    prefill: prefillTarget(exchange, options),
    encoders: options.encodes ? encoderTargets(exchange, options.allowed) : [],
    kvSource: options.pullsFromSources ? sourceTarget(exchange, options.allowed) : undefined,
  };
}

/** The rank that a request names by the address of its sidecar. Missing values: undefined. */
export function dataParallelTarget(exchange: Exchange): string | undefined {
  const value = exchange.request.values(dataParallelTargetHeader)[0]?.trim();
  return value === "" ? undefined : value;
}

function prefillTarget(exchange: Exchange, { allowed, samples }: ControlOptions): ControlTargets["prefill"] {
  const names = entries(exchange, prefillHeader);
  if (names.length === 0) return undefined;
  const target = parseTarget(names[samples ? randomInt(names.length) : 0]!);
  if (target === undefined) {
    refused(exchange, "prefill", "malformed");
    return "malformed";
  }
  if (allowed.allows(target)) return target;
  refused(exchange, "prefill", "not-allowed");
  return "denied";
}

function encoderTargets(exchange: Exchange, allowed: AllowedTargets): Target[] {
  const targets: Target[] = [];
  for (const name of entries(exchange, encoderHeader).slice(0, maxEncoders)) {
    const target = parseTarget(name);
    if (target === undefined) refused(exchange, "encode", "malformed");
    else if (!allowed.allows(target)) refused(exchange, "encode", "not-allowed");
    else targets.push(target);
  }
  return targets;
}

function sourceTarget(exchange: Exchange, allowed: AllowedTargets): Target | undefined {
  const [name] = entries(exchange, kvSourceHeader);
  if (name === undefined) return undefined;
  const target = parseTarget(name);
  if (target === undefined) refused(exchange, "kv-source", "malformed");
  else if (!allowed.allows(target)) refused(exchange, "kv-source", "not-allowed");
  else return target;
  return undefined;
}

/** Values of a header, one per line, or separated by commas in a single line. */
function entries(exchange: Exchange, header: string): string[] {
  const values = exchange.request.values(header);
  const split = values.length === 1 ? values[0]!.split(",") : values;
  return split.map((value) => value.trim()).filter((value) => value !== "");
}

function refused(exchange: Exchange, role: string, reason: string): void {
  exchange.metrics.refusedTargets.labels(role, reason).inc();
  exchange.logger.warn({ requestId: exchange.request.requestId, role, reason }, "an address in a header was not used");
}
