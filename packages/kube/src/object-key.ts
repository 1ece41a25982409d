import { asRecord, asText, type JsonRecord } from "./json-value.ts";

/** Identity of an object within its kind, with the version it was seen in. */
export interface ObjectIdentity {
  /** `namespace/name`; the name alone where there are no namespaces. */
  readonly key: string;
  readonly namespace: string;
  readonly name: string;
  readonly resourceVersion: string | undefined;
}

/** Reads who an object is; `undefined` when it has no name. */
export function identityOf(object: JsonRecord): ObjectIdentity | undefined {
  const metadata = asRecord(object["metadata"]);
  const name = asText(metadata["name"]);
  if (name === undefined) return undefined;
  const namespace = asText(metadata["namespace"]) ?? "";
  return {
    key: namespace === "" ? name : `${namespace}/${name}`,
    namespace,
    name,
    resourceVersion: asText(metadata["resourceVersion"]),
  };
}
