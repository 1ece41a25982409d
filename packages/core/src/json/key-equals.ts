import { decodeString } from "./decode-text.ts";

/** A UTF-16 unit is written with at most six bytes, as \u and four digits. */
const MOST_BYTES_PER_UNIT = 6;

/**
 * Tells whether a key in the text is `key`, escapes decoded.
 * Shape: `start` and `end` are the bounds between the quotes. Cost: compares bytes; a key with an escape, or a `key`
 * that is not ASCII, is decoded when all before matches and it is not too long to be the same.
 */
export function keyEquals(bytes: Uint8Array, start: number, end: number, key: string): boolean {
  const length = key.length;
  if (end - start > length * MOST_BYTES_PER_UNIT) return false;
  for (let index = 0; index < length; index++) {
    const at = start + index;
    if (at >= end) return false;
    const byte = bytes[at]!;
    const code = key.charCodeAt(index);
    if (byte === 0x5c || code >= 0x80) return decodeString(bytes, start, end) === key;
    if (byte !== code) return false;
  }
  return start + length === end;
}
