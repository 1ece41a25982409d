import type { Endpoint } from "../endpoint.ts";
import type { MetadataObject, MetadataValue } from "../request.ts";
import { wireNames } from "../wire-names.ts";

/** Splits `host:port`, `[v6]:port`, a bare host or a bare IPv6 address. */
function splitHostPort(text: string): { host: string; port: string | undefined } {
  if (text.startsWith("[")) {
    const close = text.indexOf("]");
    const rest = text.slice(close + 1);
    return { host: text.slice(1, close), port: rest.startsWith(":") ? rest.slice(1) : undefined };
  }
  const colon = text.lastIndexOf(":");
  if (colon === -1 || text.indexOf(":") !== colon) return { host: text, port: undefined };
  return { host: text.slice(0, colon), port: text.slice(colon + 1) };
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
  const exact = new Set<string>();
  const hosts = new Set<string>();
  for (const entry of hint) {
    const { host, port } = splitHostPort(entry);
    if (port === undefined) hosts.add(host);
    else exact.add(`${host} ${port}`);
  }
  return endpoints.filter(
    ({ metadata }) => hosts.has(metadata.address) || exact.has(`${metadata.address} ${metadata.port}`),
  );
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
