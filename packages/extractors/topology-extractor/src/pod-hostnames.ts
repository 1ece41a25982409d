import type { KubernetesEvent, KubernetesObject } from "@pointsman/core";

/** `spec.hostname` of ready Pods by `namespace/name`. */
export class PodHostnames {
  readonly #byPod: Map<string, string> = new Map();

  of(namespace: string, pod: string): string | undefined {
    return this.#byPod.get(`${namespace}/${pod}`);
  }

  get size(): number {
    return this.#byPod.size;
  }

  /** Takes an event; returns the Pod whose host name it changed. */
  take(event: KubernetesEvent): { readonly namespace: string; readonly name: string } | undefined {
    if (event.type === "synced") return undefined;
    const { namespace = "default", name } = event.type === "delete" ? event : event.object.metadata;
    const id = `${namespace}/${name}`;
    const hostname = event.type === "delete" ? undefined : hostnameOf(event.object);
    if (this.#byPod.get(id) === hostname) return undefined;
    if (hostname === undefined) this.#byPod.delete(id);
    else this.#byPod.set(id, hostname);
    return { namespace, name };
  }
}

/** The host name of a Pod that is ready and not going away. */
function hostnameOf({ metadata, spec, status }: KubernetesObject): string | undefined {
  if (metadata.deletionTimestamp !== undefined) return undefined;
  const { hostname } = fieldsOf(spec);
  if (typeof hostname !== "string" || hostname === "") return undefined;
  const conditions = fieldsOf(status)["conditions"];
  const list: readonly unknown[] = Array.isArray(conditions) ? conditions : [];
  const ready = list.map(fieldsOf).find((condition) => condition["type"] === "Ready");
  return ready?.["status"] === "True" ? hostname : undefined;
}

function fieldsOf(value: unknown): Readonly<Record<string, unknown>> {
  // What is no object has no fields.
  return typeof value === "object" && value !== null ? (value as Readonly<Record<string, unknown>>) : {};
}
