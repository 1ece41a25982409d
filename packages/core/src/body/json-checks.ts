import { type JsonKind, type JsonValue, stringValue } from "../json/index.ts";

/** Tells whether a field may be left unread: it is absent, null, or of one of these kinds. */
export function isOptional(value: JsonValue | undefined, ...kinds: readonly JsonKind[]): boolean {
  return value === undefined || value.kind === "null" || kinds.includes(value.kind);
}

/** Tells whether a value is this string, escapes decoded. `text` is ASCII. Allocates only when there are escapes. */
export function isString(value: JsonValue | undefined, text: string): boolean {
  if (value?.kind !== "string") return false;
  if (value.escaped) return stringValue(value) === text;
  const { start, end } = value;
  if (end - start - 2 !== text.length) return false;
  const bytes = value.document.bytes;
  for (let i = 0; i < text.length; i++) {
    if (bytes[start + 1 + i] !== text.charCodeAt(i)) return false;
  }
  return true;
}
