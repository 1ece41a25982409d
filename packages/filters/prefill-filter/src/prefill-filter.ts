import { type AnyPluginDefinition, definePlugin, type EndpointRole, keepRoles } from "@pointsman/core";

const accepted: ReadonlySet<string> = new Set<EndpointRole>([
  "prefill",
  "encode-prefill",
  "prefill-decode",
  "both",
  "encode-prefill-decode",
]);
const keepUnlabelled = false;

export const prefillFilter: AnyPluginDefinition = definePlugin({
  type: "prefill-filter",
  kind: "filter",
  stability: "beta",
  summary: "Keeps endpoints whose role label includes prefill.",
  create: () => ({ filter: (_request, endpoints) => keepRoles(endpoints, accepted, keepUnlabelled) }),
});
