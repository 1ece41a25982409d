/** A collection of objects in the API. */
export interface ResourceLocation {
  /** Empty: the core group. */
  readonly group: string;
  readonly version: string;
  readonly plural: string;
  /** Empty: all namespaces, or a kind without namespaces. */
  readonly namespace: string;
}

/** URL path of a collection. */
export function resourcePath({ group, version, plural, namespace }: ResourceLocation): string {
  const segment = encodeURIComponent;
  const api = group === "" ? `/api/${segment(version)}` : `/apis/${segment(group)}/${segment(version)}`;
  return `${api}${namespace === "" ? "" : `/namespaces/${segment(namespace)}`}/${segment(plural)}`;
}
