import {
  errorText,
  type KubernetesEvent,
  type KubernetesListener,
  type KubernetesObject,
  type Logger,
  type NamedPlugin,
} from "@pointsman/core";
import type { JsonRecord } from "./json-value.ts";
import { resourcePath } from "./resource-path.ts";
import type { WatchSet } from "./watch-set.ts";

/** Tells a plugin of the Kubernetes objects it asks for. */
export function followForPlugin(
  { name, instance }: NamedPlugin<KubernetesListener>,
  poolNamespace: string,
  watches: WatchSet,
  logger: Logger,
): void {
  const { group, version, plural, namespace = poolNamespace, labelSelector } = instance.watchedResource();
  const tell = (event: KubernetesEvent): void => {
    try {
      instance.resourceChanged(event);
    } catch (thrown: unknown) {
      logger.error(
        { plugin: name, event: event.type, problem: errorText(thrown) },
        "a plugin failed on a Kubernetes event",
      );
    }
  };
  const watch = watches.follow({
    resource: `${plural} (${name})`,
    paths: [resourcePath({ group, version, plural, namespace })],
    ...(labelSelector === undefined ? {} : { labelSelector }),
    sink: {
      upsert: (object) => tell({ type: "addOrUpdate", object: pluginObject(object) }),
      remove: (identity) => tell({ type: "delete", namespace: identity.namespace, name: identity.name }),
    },
  });
  watch.onceSynced(() => tell({ type: "synced" }));
}

/** The object without what the API server notes for itself, which is often the larger half. */
function pluginObject(object: JsonRecord): KubernetesObject {
  const { managedFields: _, ...metadata } = object["metadata"] as Record<string, unknown>;
  // The watch has checked that there is a name; readers check the rest.
  return { ...object, metadata } as unknown as KubernetesObject;
}
