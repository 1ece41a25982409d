import type { JsonValue } from "@pointsman/core/json";

/** JSON text in the place of one value of a document. */
export interface ValueEdit {
  readonly value: JsonValue;
  readonly text: readonly Uint8Array[];
}

/**
 * Replaces values inside another and leaves every other byte as it is.
 * Shape: the slices of the new text of `container`. `edits` are in the order of the document, none inside another, all
 * inside `container`.
 */
export function spliceValues(container: JsonValue, edits: readonly ValueEdit[]): Uint8Array[] {
  const { bytes } = container.document;
  const slices: Uint8Array[] = [];
  let from = container.start;
  for (const { value, text } of edits) {
    slices.push(bytes.subarray(from, value.start), ...text);
    from = value.end;
  }
  slices.push(bytes.subarray(from, container.end));
  return slices.filter((slice) => slice.length > 0);
}
