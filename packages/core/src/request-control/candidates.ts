import type { Endpoint } from "../endpoint.ts";
import type { MetadataObject, MetadataValue } from "../request.ts";
import { wireNames } from "../wire-names.ts";

/** What a hint allows: whole hosts, and single ports of hosts as `host port`. */
interface Allowed {
  readonly hosts: Set<string>;
  readonly exact: Set<string>;
}

/**
 * Adds what an entry allows: `host:port`, `[v6]:port`, a bare host or a bare IPv6 address. Several colons without
 * brackets can be a bare IPv6 address or one with a port, which peers write too; then both readings count.
 */
function allow(entry: string, { hosts, exact }: Allowed): void {
  const text = entry.trim().toLowerCase();
  if (text.startsWith("[")) {
    const close = text.indexOf("]");
    if (close === -1) return;
    const host = text.slice(1, close);
    const rest = text.slice(close + 1);
    if (rest === "") hosts.add(host);
    else if (rest.startsWith(":")) exact.add(`${host} ${rest.slice(1)}`);
    return;
  }
  const colon = text.lastIndexOf(":");
  if (colon !== -1) exact.add(`${text.slice(0, colon)} ${text.slice(colon + 1)}`);
  if (colon === -1 || text.indexOf(":") !== colon) hosts.add(text);
}

/**
 * Reads the proxy's list of allowed endpoints: a list of strings or one comma-separated string under
 * `envoy.lb.subset_hint` / `x-gateway-destination-endpoint-subset`.
 *
 * `undefined` when the proxy gave none; an empty list allows nothing.
 */
export function subsetHint(metadata: MetadataObject): readonly string[] | undefined {
  const namespace = metadata[wireNames.subsetNamespace];
  if (typeof namespace !== "object" || namespace === null || Array.isArray(namespace)) return undefined;
  const value: MetadataValue | undefined = (namespace as MetadataObject)[wireNames.destinationSubset];
  if (typeof value === "string") return splitList(value);
  if (Array.isArray(value)) return value.filter((entry) => typeof entry === "string");
  return undefined;
}

function splitList(text: string): string[] {
  return text
    .split(",")
    .map((entry) => entry.trim())
    .filter((entry) => entry !== "");
}

/** Endpoints that the hint allows, in their own order. An entry without a port allows every port of its host. */
export function applySubset(endpoints: readonly Endpoint[], hint: readonly string[]): readonly Endpoint[] {
  const allowed: Allowed = { hosts: new Set(), exact: new Set() };
  for (const entry of hint) allow(entry, allowed);
  return endpoints.filter(({ metadata }) => {
    const address = metadata.address.toLowerCase();
    return allowed.hosts.has(address) || allowed.exact.has(`${address} ${metadata.port}`);
  });
}

/**
 * Leaves out endpoints at whose address nobody listens, unless that leaves none: with no one reachable, trying is
 * better than refusing.
 */
export function preferReachable(endpoints: readonly Endpoint[]): readonly Endpoint[] {
  let down = 0;
  for (let i = 0; i < endpoints.length; i++) {
    if (endpoints[i]!.reachability === "down") down++;
  }
  if (down === 0 || down === endpoints.length) return endpoints;
  return endpoints.filter((endpoint) => endpoint.reachability !== "down");
}
