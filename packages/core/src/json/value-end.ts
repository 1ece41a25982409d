import { EppBug } from "../errors.ts";
import type { JsonDocument } from "./json-document.ts";
import { STRING_FAULT, scanString } from "./scan-string.ts";

/**
 * Finds the end of the checked value that starts at `start`.
 * Shape: the index after it, complemented for a string with escapes.
 * Cost: long values are looked up; short ones, and those the document has no span for, are read to their end.
 */
export function valueEnd(document: JsonDocument, start: number): number {
  switch (document.bytes[start]) {
    case 0x22:
      return document.spans.endOf(start) ?? stringEnd(document, start);
    case 0x7b:
    case 0x5b:
      return document.spans.endOf(start) ?? containerEnd(document, start);
    case 0x74:
    case 0x6e:
      return start + 4;
    case 0x66:
      return start + 5;
    default:
      return numberEnd(document.bytes, start);
  }
}

function stringEnd(document: JsonDocument, start: number): number {
  const bytes = document.bytes;
  const close = scanString(bytes, document.view, start + 1);
  if (close >= 0) return close + 1;
  if (close === STRING_FAULT) throw changed();
  return ~(~close + 1);
}

function containerEnd(document: JsonDocument, start: number): number {
  const bytes = document.bytes;
  const length = bytes.length;
  let open = 0;
  let index = start;
  while (index < length) {
    const byte = bytes[index]!;
    index++;
    if (byte === 0x22) {
      const close = scanString(bytes, document.view, index);
      if (close === STRING_FAULT) break;
      index = (close < 0 ? ~close : close) + 1;
    } else if ((byte | 0x20) === 0x7b) {
      open++;
    } else if ((byte | 0x20) === 0x7d) {
      open--;
      if (open === 0) return index;
    }
  }
  throw changed();
}

function numberEnd(bytes: Uint8Array, start: number): number {
  let index = start + 1;
  while (index < bytes.length) {
    const byte = bytes[index]!;
    // A comma, a closing bracket, white space: none of the bytes of a number.
    if (byte <= 0x20 || byte === 0x2c || (byte | 0x20) === 0x7d) break;
    index++;
  }
  return index;
}

/** A checked value has an end. Without one, the bytes are not those that were scanned. */
function changed(): EppBug {
  return new EppBug("the bytes of a JSON document changed after it was scanned");
}

/** Returns the index of the first byte at or after `index` that is not white space, the length when there is none. */
export function tokenStart(bytes: Uint8Array, index: number): number {
  let at = index;
  while (at < bytes.length && bytes[at]! <= 0x20) at++;
  return at;
}
