import { type AnyPluginDefinition, definePlugin } from "@pointsman/core";
import { type K8sNotificationSourceParams, k8sNotificationSourceParams } from "./params.ts";

export const k8sNotificationSource: AnyPluginDefinition = definePlugin<K8sNotificationSourceParams>({
  type: "k8s-notification-source",
  kind: "source",
  stability: "beta",
  summary: "Stands for the Kubernetes objects of one kind, which every plugin that follows them is told of.",
  params: k8sNotificationSourceParams,
  // Plugins say themselves what they follow, and are told of it whether or not a source lists them.
  create: ({ group, version, kind }) => ({ dumpState: () => ({ group, version, kind }) }),
});
