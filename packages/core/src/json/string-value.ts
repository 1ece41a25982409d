import { decodeString, decodeText } from "./decode-text.ts";
import type { JsonValue } from "./json-document.ts";
import { unescapedLength, unescapeInto } from "./unescape.ts";

/** Bytes up to which a loop is faster than a view. */
const LONGEST_COPIED_BYTEWISE = 16;

/**
 * Reads a string. Lone surrogate escapes and bytes that are not UTF-8 give U+FFFD, one per escape or byte.
 * Missing values: undefined for all that is not a string. Cost: O(string), allocates the text.
 */
export function stringValue(value: JsonValue | undefined): string | undefined {
  if (value?.kind !== "string") return undefined;
  const bytes = value.document.bytes;
  const decode = value.escaped ? decodeString : decodeText;
  return decode(bytes, value.start + 1, value.end - 1);
}

/** Tells how many bytes `stringBytes` has. Missing values: undefined for all that is not a string. */
export function stringByteLength(value: JsonValue | undefined): number | undefined {
  if (value?.kind !== "string") return undefined;
  if (!value.escaped) return value.end - value.start - 2;
  return unescapedLength(value.document.bytes, value.start + 1, value.end - 1);
}

/**
 * Reads the bytes of a string, escapes decoded to UTF-8.
 * Shape: a view of the document's own bytes when there are no escapes, else fresh memory. Lone surrogate escapes give
 * EF BF BD; bytes that are not UTF-8 stay as they are. Missing values: undefined for all that is not a string.
 */
export function stringBytes(value: JsonValue | undefined): Uint8Array | undefined {
  if (value?.kind !== "string") return undefined;
  const bytes = value.document.bytes;
  const start = value.start + 1;
  const end = value.end - 1;
  if (!value.escaped) return bytes.subarray(start, end);
  const target = new Uint8Array(end - start);
  return target.subarray(0, unescapeInto(bytes, start, end, target, 0));
}

/**
 * Writes the bytes that `stringBytes` gives to `target` from `offset` on.
 * Shape: returns how many bytes were written; undefined, with `target` unchanged, when the value is not a string or
 * does not fit. The string may use `end - start - 2` bytes of `target` as work space if there are as many.
 * Cost: O(string); allocates when `target` has less room than that and there are escapes.
 */
export function writeStringBytes(value: JsonValue | undefined, target: Uint8Array, offset: number): number | undefined {
  if (value?.kind !== "string") return undefined;
  const bytes = value.document.bytes;
  const start = value.start + 1;
  const end = value.end - 1;
  const room = target.length - offset;
  if (value.escaped && end - start <= room) return unescapeInto(bytes, start, end, target, offset) - offset;
  if (end - start <= LONGEST_COPIED_BYTEWISE && end - start <= room) {
    for (let index = start; index < end; index++) target[offset + index - start] = bytes[index]!;
    return end - start;
  }
  const content = value.escaped ? stringBytes(value) : bytes.subarray(start, end);
  if (content === undefined || content.length > room) return undefined;
  target.set(content, offset);
  return content.length;
}
