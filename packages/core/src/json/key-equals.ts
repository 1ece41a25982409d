import { decodeString } from "./decode-text.ts";
import { escapeLength } from "./scan-string.ts";
import { escapedUnit } from "./unescape.ts";

/** A UTF-16 unit is written with at most six bytes, as \u and four digits. */
const MOST_BYTES_PER_UNIT = 6;

/**
 * Tells whether a key, or another string, in the text is `key`, escapes decoded.
 * Shape: `start` and `end` are the bounds between the quotes. For an ASCII `key` the text need not be checked: one with
 * a bad escape is not the same.
 * Cost: compares bytes, up to the first that differs. A `key` that is not ASCII is compared with the decoded text when
 * all before matches and it is not too long to be the same.
 */
export function keyEquals(bytes: Uint8Array, start: number, end: number, key: string): boolean {
  const length = key.length;
  if (end - start > length * MOST_BYTES_PER_UNIT) return false;
  for (let index = 0; index < length; index++) {
    const at = start + index;
    if (at >= end) return false;
    const byte = bytes[at]!;
    const code = key.charCodeAt(index);
    if (code >= 0x80) return decodeString(bytes, start, end) === key;
    if (byte === 0x5c) return restEquals(bytes, start, at, end, key, index);
    if (byte !== code) return false;
  }
  return start + length === end;
}

/** Goes on at `at`, where an escape starts, with the unit at `index` of the key. */
function restEquals(bytes: Uint8Array, start: number, at: number, end: number, key: string, index: number): boolean {
  let from = at;
  for (let unit = index; unit < key.length; unit++) {
    if (from >= end) return false;
    const code = key.charCodeAt(unit);
    if (code >= 0x80) return decodeString(bytes, start, end) === key;
    if (bytes[from] !== 0x5c) {
      if (bytes[from] !== code) return false;
      from++;
      continue;
    }
    // One that reaches over the end is told by where the comparison ends.
    const size = escapeLength(bytes, from);
    if (size === 0 || escapedUnit(bytes, from) !== code) return false;
    from += size;
  }
  return from === end;
}
