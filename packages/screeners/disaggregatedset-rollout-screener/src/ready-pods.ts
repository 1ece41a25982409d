import type { KubernetesObject } from "@pointsman/core";
import { type LabelSelector, selectsLabels } from "./label-selector.ts";
import type { RoleCounts } from "./revision-shares.ts";

interface Member {
  readonly revision: string;
  readonly role: string;
}

export interface ReadyPodsOptions {
  readonly scope: LabelSelector;
  readonly revisionLabelKey: string;
  readonly roleLabelKey: string;
}

/** Counts Ready Pods by revision and role, from what Kubernetes tells about each. */
export class ReadyPods {
  readonly #options: ReadyPodsOptions;
  /** By `namespace/name`; Pods that do not count are absent. */
  readonly #members = new Map<string, Member>();
  readonly #counts = new Map<string, Map<string, number>>();

  constructor(options: ReadyPodsOptions) {
    this.#options = options;
  }

  /** Revisions with at least one Ready Pod. */
  get counts(): ReadonlyMap<string, RoleCounts> {
    return this.#counts;
  }

  /** Takes in the state of a Pod. Returns whether the counts changed. */
  update(pod: KubernetesObject): boolean {
    const { namespace = "", name } = pod.metadata;
    return this.#put(`${namespace}/${name}`, this.#memberOf(pod));
  }

  /** Takes in that a Pod is gone. Returns whether the counts changed. */
  remove(namespace: string, name: string): boolean {
    return this.#put(`${namespace}/${name}`, undefined);
  }

  #put(id: string, member: Member | undefined): boolean {
    const before = this.#members.get(id);
    if (before?.revision === member?.revision && before?.role === member?.role) return false;
    if (before !== undefined) this.#add(before, -1);
    if (member === undefined) this.#members.delete(id);
    else {
      this.#members.set(id, member);
      this.#add(member, 1);
    }
    return true;
  }

  #add({ revision, role }: Member, pods: 1 | -1): void {
    const byRole = this.#counts.get(revision) ?? new Map<string, number>();
    this.#counts.set(revision, byRole);
    const count = (byRole.get(role) ?? 0) + pods;
    if (count > 0) byRole.set(role, count);
    else byRole.delete(role);
    if (byRole.size === 0) this.#counts.delete(revision);
  }

  #memberOf(pod: KubernetesObject): Member | undefined {
    const { scope, revisionLabelKey, roleLabelKey } = this.#options;
    const labels = pod.metadata.labels ?? {};
    if (!isReady(pod) || !selectsLabels(scope, labels)) return undefined;
    const revision = labelOf(labels, revisionLabelKey);
    const role = labelOf(labels, roleLabelKey);
    return revision === "" || role === "" ? undefined : { revision, role };
  }
}

/** A label's value; empty when there is none. */
export function labelOf(labels: Readonly<Record<string, string>>, key: string): string {
  return Object.hasOwn(labels, key) ? (labels[key] ?? "") : "";
}

/** A Pod is ready when nobody deletes it and its first condition of type `Ready` is `True`. */
export function isReady({ metadata, status }: KubernetesObject): boolean {
  if (metadata.deletionTimestamp !== undefined) return false;
  const { conditions } = fieldsOf(status);
  if (!Array.isArray(conditions)) return false;
  const ready = conditions.map(fieldsOf).find(({ type }) => type === "Ready");
  return ready?.["status"] === "True";
}

interface Fields {
  readonly [name: string]: unknown;
  readonly conditions?: unknown;
  readonly type?: unknown;
}

function fieldsOf(value: unknown): Fields {
  // Whatever is no object has no fields.
  return typeof value === "object" && value !== null ? (value as Fields) : {};
}
