import { type AnyPluginDefinition, definePlugin } from "@pointsman/core";
import { FileDiscovery, type FileDiscoveryParams, fileDiscoveryParams } from "@pointsman/file-discovery";

export const multiclusterFileDiscovery: AnyPluginDefinition = definePlugin<FileDiscoveryParams>({
  type: "multicluster-file-discovery",
  kind: "discovery",
  stability: "alpha",
  summary: "Reads the clusters from a YAML or JSON file and follows its changes.",
  params: fileDiscoveryParams,
  create: (params, host) => new FileDiscovery(params, host, { metricsLabels: true }),
});
