import { decodeString } from "./decode-text.ts";
import { JsonDocument, type JsonKind, type JsonValue, kindOf, valueAt } from "./json-document.ts";
import { keyEquals } from "./key-equals.ts";
import { byteWords, STRING_FAULT, scanString } from "./scan-string.ts";
import { SkipSpans } from "./skip-spans.ts";
import { tokenStart, valueEnd } from "./value-end.ts";

/**
 * Walks over the elements of an array or the members of an object in order, without an object for each.
 * Shape: `while (cursor.next()) ...`; between two calls the cursor is the JsonValue it stands on, and every function
 * that reads a value accepts it. Use `keepValue` for a value that outlives the next call. Before the first call and
 * after the last it has no meaning as a value. Repeated keys all appear.
 * Cost: next() reads short values and looks up the end of long ones.
 */
export interface JsonCursor extends JsonValue {
  /** Moves to the next element or member. Returns false when there is none. */
  next(): boolean;
  /** Decodes the key of the member. Missing values: undefined for an element. */
  key(): string | undefined;
  /** Tells whether the member has this key, without decoding it. False for an element. */
  keyIs(key: string): boolean;
}

/** Walks over an array. Missing values: nothing to walk over for all that is not an array. */
export function elements(value: JsonValue | undefined): JsonCursor {
  if (value?.kind !== "array") return nothing;
  return new ContainerCursor(value, value.start + 1);
}

/** Walks over an object. Missing values: nothing to walk over for all that is not an object. */
export function members(value: JsonValue | undefined): JsonCursor {
  if (value?.kind !== "object") return nothing;
  return new ContainerCursor(value, value.start + 1);
}

/** Copies the value a cursor stands on, so that it stays when the cursor moves. */
export function keepValue(value: JsonValue): JsonValue {
  return valueAt(value.document, value.start, value.escaped ? ~value.end : value.end);
}

/** The one implementation of JsonCursor. Used by this package. */
export class ContainerCursor implements JsonCursor {
  readonly document: JsonDocument;
  kind: JsonKind;
  start: number;
  end: number;
  escaped = false;
  keyStart = 0;
  keyEnd = 0;
  readonly #inObject: boolean;
  /** Where the next comma, closing bracket, or first element or member is looked for; -1 at the end. */
  #from: number;

  constructor(container: JsonValue, from: number) {
    this.document = container.document;
    this.kind = container.kind;
    this.start = container.start;
    this.end = container.end;
    this.#inObject = container.kind === "object";
    this.#from = from;
  }

  next(): boolean {
    if (this.#from === -1) return false;
    const document = this.document;
    const bytes = document.bytes;
    let index = tokenStart(bytes, this.#from);
    const first = bytes[index];
    if (first === 0x2c) {
      index = tokenStart(bytes, index + 1);
    } else if (first === undefined || first === 0x5d || first === 0x7d) {
      this.#from = -1;
      return false;
    }
    if (this.#inObject) {
      const close = scanString(bytes, document.view, index + 1);
      if (close === STRING_FAULT) {
        this.#from = -1;
        return false;
      }
      this.keyStart = index + 1;
      this.keyEnd = close < 0 ? ~close : close;
      // Over the colon.
      index = tokenStart(bytes, tokenStart(bytes, this.keyEnd + 1) + 1);
    }
    const end = valueEnd(document, index);
    this.kind = kindOf(bytes[index]);
    this.start = index;
    this.escaped = end < 0;
    this.end = end < 0 ? ~end : end;
    this.#from = this.end;
    return true;
  }

  key(): string | undefined {
    return this.#inObject ? decodeString(this.document.bytes, this.keyStart, this.keyEnd) : undefined;
  }

  keyIs(key: string): boolean {
    return this.#inObject && keyEquals(this.document.bytes, this.keyStart, this.keyEnd, key);
  }
}

const NULL_BYTES = Uint8Array.of(0x6e, 0x75, 0x6c, 0x6c);
const nullDocument = new JsonDocument(NULL_BYTES, byteWords(NULL_BYTES), new SkipSpans([]), [], 0, 4);
const nothing: JsonCursor = new ContainerCursor(nullDocument.root, -1);
