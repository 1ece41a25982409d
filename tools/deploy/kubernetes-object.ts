/** What every object has; the rest is looked at with `at`. */
export interface KubernetesObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
}

/** A value inside an object: keys with dots between them, places of lists as numbers. `undefined` where there is none. */
export function at<T = unknown>(value: unknown, path: string): T | undefined {
  let here: unknown = value;
  for (const key of path.split(".")) {
    if (typeof here !== "object" || here === null) return undefined;
    here = (here as Readonly<Record<string, unknown>>)[key];
  }
  // The caller states what the schema of the object says.
  return here as T | undefined;
}

/** The object of a kind and name. Throws when there is none. */
export function objectOf(objects: readonly KubernetesObject[], kind: string, name?: string): KubernetesObject {
  const found = objects.filter((each) => each.kind === kind && (name === undefined || each.metadata.name === name));
  if (found.length !== 1)
    throw new Error(`${found.length} objects of kind ${kind}${name === undefined ? "" : ` named ${name}`}`);
  return found[0]!;
}
