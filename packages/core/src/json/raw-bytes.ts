import type { JsonValue } from "./json-document.ts";

/** Gives the JSON text of a value as it stands, as a view of the document's bytes. */
export function rawBytes(value: JsonValue): Uint8Array {
  return value.document.bytes.subarray(value.start, value.end);
}

/**
 * Replaces one value of a document and leaves every other byte as it is.
 * Shape: the parts of the new text in order, empty ones left out: views of the document's bytes around `replacement`,
 * nothing copied. `replacement` must be JSON text; it is not checked.
 */
export function spliceValue(value: JsonValue, replacement: Uint8Array): Uint8Array[] {
  const bytes = value.document.bytes;
  const parts = [bytes.subarray(0, value.start), replacement, bytes.subarray(value.end)];
  return parts.filter((part) => part.length > 0);
}
