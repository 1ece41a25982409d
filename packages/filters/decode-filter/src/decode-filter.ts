import { type AnyPluginDefinition, definePlugin, type EndpointRole, keepRoles } from "@pointsman/core";

const accepted: ReadonlySet<string> = new Set<EndpointRole>([
  "decode",
  "prefill-decode",
  "both",
  "encode-prefill-decode",
]);
const keepUnlabelled = true;

export const decodeFilter: AnyPluginDefinition = definePlugin({
  type: "decode-filter",
  kind: "filter",
  stability: "beta",
  summary: "Keeps endpoints that decode, and those without a role label.",
  create: () => ({ filter: (_request, endpoints) => keepRoles(endpoints, accepted, keepUnlabelled) }),
});
