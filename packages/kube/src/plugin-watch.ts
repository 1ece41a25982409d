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

/** Tells plugins of the Kubernetes objects they ask for. */
export class PluginWatches {
  readonly #watches: WatchSet;
  readonly #poolNamespace: string;
  readonly #logger: Logger;
  /** Key of the watch of each plugin. */
  readonly #keys = new Map<KubernetesListener, string>();
  #count = 0;

  constructor(watches: WatchSet, poolNamespace: string, logger: Logger) {
    this.#watches = watches;
    this.#poolNamespace = poolNamespace;
    this.#logger = logger;
  }

  /** Starts to tell a plugin. Resolves once it has been told of everything that exists. */
  follow({ name, instance }: NamedPlugin<KubernetesListener>): Promise<void> {
    const { group, version, plural, namespace = this.#poolNamespace, labelSelector } = instance.watchedResource();
    const tell = (event: KubernetesEvent): void => {
      try {
        instance.resourceChanged(event);
      } catch (thrown: unknown) {
        this.#logger.error(
          { plugin: name, event: event.type, problem: errorText(thrown) },
          "a plugin failed on a Kubernetes event",
        );
      }
    };
    // A plugin of another configuration may have the same name for a while.
    const key = `plugin ${this.#count++}`;
    const watch = this.#watches.follow({
      resource: `${plural} (${name})`,
      key,
      paths: [resourcePath({ group, version, plural, namespace })],
      ...(labelSelector === undefined ? {} : { labelSelector }),
      sink: {
        upsert: (object) => tell({ type: "addOrUpdate", object: pluginObject(object) }),
        remove: (identity) => tell({ type: "delete", namespace: identity.namespace, name: identity.name }),
      },
    });
    this.#keys.set(instance, key);
    return new Promise((resolve) =>
      watch.onceSynced(() => {
        tell({ type: "synced" });
        resolve();
      }),
    );
  }

  /** Tells a plugin no more. */
  forget(instance: KubernetesListener): void {
    const key = this.#keys.get(instance);
    if (key === undefined) return;
    this.#keys.delete(instance);
    this.#watches.forget(key);
  }
}

/** The object without what the API server notes for itself, which is often the larger half. */
function pluginObject(object: JsonRecord): KubernetesObject {
  const { managedFields: _, ...metadata } = object["metadata"] as Record<string, unknown>;
  // The watch has checked that there is a name; readers check the rest.
  return { ...object, metadata } as unknown as KubernetesObject;
}
