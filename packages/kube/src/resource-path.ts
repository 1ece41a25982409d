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

/** The path with those parameters that have a value. */
export function withQuery(path: string, query: Readonly<Record<string, string | undefined>>): string {
  const params = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) if (value !== undefined && value !== "") params.set(name, value);
  const text = params.toString();
  return text === "" ? path : `${path}?${text}`;
}
