import { members } from "./json-cursor.ts";
import type { JsonValue } from "./json-document.ts";

/** Objects with more members are not examined. */
const MAX_EXAMINED_MEMBERS = 4096;

/**
 * Tells whether a key is repeated in an object, escapes decoded; objects inside it are not looked at.
 * Missing values: false for all that is not an object; undefined, not known, for one of over 4096 members.
 * Cost: O(object), decodes every key.
 */
export function hasDuplicateKeys(value: JsonValue | undefined): boolean | undefined {
  const seen = new Set<string>();
  const cursor = members(value);
  let examined = 0;
  while (cursor.next()) {
    if (++examined > MAX_EXAMINED_MEMBERS) return undefined;
    const key = cursor.key();
    if (key === undefined) continue;
    if (seen.has(key)) return true;
    seen.add(key);
  }
  return false;
}
