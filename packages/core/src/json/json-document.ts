import type { ByteWords } from "./scan-string.ts";
import type { SkipSpans } from "./skip-spans.ts";

/** The kind of a JSON value. The two booleans are kinds of their own. */
export type JsonKind = "object" | "array" | "string" | "number" | "true" | "false" | "null";

/**
 * One value in place: where it stands in the bytes of its document, and what it is.
 * Missing values: functions that look values up return undefined, and every reader accepts undefined.
 */
export interface JsonValue {
  readonly document: JsonDocument;
  readonly kind: JsonKind;
  /** Index of the first byte; of a string, the opening quote. */
  readonly start: number;
  /** Index after the last byte; of a string, after the closing quote. */
  readonly end: number;
  /** True for a string that holds at least one escape, false for all else. */
  readonly escaped: boolean;
}

/** Ints per member of the root member table: key start, key end (both without quotes), value start, value end. */
export const MEMBER_INTS = 4;

/** Most members the root object may have. All are listed, so that no lookup in it costs more than the list. */
export const MAX_ROOT_MEMBERS = 16_384;

/**
 * A whole JSON text that was checked once and is read in place.
 * Shape: `root` is the value, without the white space around it.
 * It refers to the caller's bytes: they must not change while the document is in use.
 */
export class JsonDocument {
  readonly ok: true = true;
  readonly bytes: Uint8Array;
  readonly root: JsonValue;
  /** The same memory as aligned words. Used by this package. */
  readonly view: ByteWords;
  /** Ends of long values. Used by this package. */
  readonly spans: SkipSpans;
  /** MEMBER_INTS per member of the root object, in order; the end of a string with escapes is complemented. Used by this package. */
  readonly rootMembers: readonly number[];

  constructor(
    bytes: Uint8Array,
    view: ByteWords,
    spans: SkipSpans,
    rootMembers: readonly number[],
    rootStart: number,
    rootEnd: number,
  ) {
    this.bytes = bytes;
    this.view = view;
    this.spans = spans;
    this.rootMembers = rootMembers;
    this.root = valueAt(this, rootStart, rootEnd);
  }
}

/** Makes the value that starts at `start`. `end` is complemented when the value is a string with escapes. */
export function valueAt(document: JsonDocument, start: number, end: number): JsonValue {
  const escaped = end < 0;
  return { document, kind: kindOf(document.bytes[start]), start, end: escaped ? ~end : end, escaped };
}

/** Tells the kind of a valid value from its first byte. */
export function kindOf(byte: number | undefined): JsonKind {
  switch (byte) {
    case 0x22:
      return "string";
    case 0x7b:
      return "object";
    case 0x5b:
      return "array";
    case 0x74:
      return "true";
    case 0x66:
      return "false";
    case 0x6e:
      return "null";
    default:
      return "number";
  }
}
