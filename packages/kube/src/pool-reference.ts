import { asRecord, asText, type JsonRecord } from "./json-value.ts";

/** The pool that objects must refer to. */
export interface PoolReference {
  readonly group: string;
  readonly name: string;
}

const defaultPoolGroup = "inference.networking.k8s.io";

/**
 * Whether an object belongs to the pool: its `spec.poolRef` names it, and nobody deletes the object. The reference's kind
 * is not compared.
 */
export function belongsTo(object: JsonRecord, pool: PoolReference): boolean {
  if (asText(asRecord(object["metadata"])["deletionTimestamp"]) !== undefined) return false;
  const ref = asRecord(asRecord(object["spec"])["poolRef"]);
  return asText(ref["name"]) === pool.name && (asText(ref["group"]) ?? defaultPoolGroup) === pool.group;
}
