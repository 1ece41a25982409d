import { type AnyPluginDefinition, definePlugin, type EndpointRole, keepRoles } from "@pointsman/core";

const accepted: ReadonlySet<string> = new Set<EndpointRole>(["encode", "encode-prefill", "encode-prefill-decode"]);
const keepUnlabelled = false;

export const encodeFilter: AnyPluginDefinition = definePlugin({
  type: "encode-filter",
  kind: "filter",
  stability: "beta",
  summary: "Keeps endpoints whose role label includes encode.",
  create: () => ({ filter: (_request, endpoints) => keepRoles(endpoints, accepted, keepUnlabelled) }),
});
