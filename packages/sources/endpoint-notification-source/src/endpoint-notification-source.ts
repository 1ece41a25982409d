import { type AnyPluginDefinition, definePlugin } from "@pointsman/core";

export const endpointNotificationSource: AnyPluginDefinition = definePlugin({
  type: "endpoint-notification-source",
  kind: "source",
  stability: "beta",
  summary: "Stands for the endpoints' coming, changing and going, which every plugin that listens is told of.",
  // The datastore tells listeners itself, whether or not a source lists them.
  create: () => ({}),
});
