import { type AnyPluginDefinition, definePlugin, type Endpoint } from "@pointsman/core";

const headerName = "test-epp-endpoint-selection";

/** More entries than a conformance test lists; what follows is not read. */
const maxEntries = 100;

/**
 * The addresses and `address:port` pairs in a comma list, IPv6 with or without brackets: an endpoint is listed when its
 * address or its `hostPort` is in the set. Blank entries are left out. Never throws.
 */
export function listedHosts(header: string): ReadonlySet<string> {
  const listed = new Set<string>();
  for (const entry of header.split(",", maxEntries)) {
    const text = entry.trim();
    const bare = /^\[([^\]]*)\]$/.exec(text)?.[1] ?? text;
    if (bare !== "") listed.add(bare);
  }
  return listed;
}

export const headerBasedTestingFilter: AnyPluginDefinition = definePlugin({
  type: "header-based-testing-filter",
  kind: "filter",
  stability: "beta",
  summary: "Keeps the endpoints that a request header lists; for conformance tests.",
  create: () => ({
    filter(request, endpoints) {
      const listed = listedHosts(request.headers.get(headerName) ?? "");
      let kept: Endpoint[] | undefined;
      for (let i = 0; i < endpoints.length; i++) {
        const endpoint = endpoints[i]!;
        if (!listed.has(endpoint.metadata.address) && !listed.has(endpoint.hostPort)) kept ??= endpoints.slice(0, i);
        else kept?.push(endpoint);
      }
      return kept ?? endpoints;
    },
  }),
});
