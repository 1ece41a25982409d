import type { ListedObject } from "./endpoints-file.ts";

/** What became of the objects of one kind. */
export interface KeptObjects<T> {
  readonly objects: readonly T[];
  /** Known ones that stay because the file does not list them in a valid way. */
  readonly kept: number;
}

/**
 * The objects that count after a reading: the valid ones listed, the last of one name; and of those known before, the
 * ones whose item is not valid. An item that does not say which object it is may be any of them.
 */
export function keepObjects<T extends { readonly name: string }>(
  known: readonly T[],
  listed: readonly ListedObject<T>[],
): KeptObjects<T> {
  const valid = new Map(listed.flatMap(({ object }) => (object === undefined ? [] : [[object.name, object] as const])));
  const invalid = new Set(listed.flatMap(({ name, object }) => (object === undefined ? [name] : [])));
  const kept = known.filter(({ name }) => !valid.has(name) && (invalid.has(name) || invalid.has(undefined)));
  return { objects: [...valid.values(), ...kept], kept: kept.length };
}
