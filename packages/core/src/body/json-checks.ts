import type { JsonKind, JsonValue } from "../json/index.ts";
import { keyEquals } from "../json/key-equals.ts";

/** Tells whether a field may be left unread: it is absent, null, or of one of these kinds. */
export function isOptional(value: JsonValue | undefined, ...kinds: readonly JsonKind[]): boolean {
  return value === undefined || value.kind === "null" || kinds.includes(value.kind);
}

/** Tells whether a value is this string, escapes decoded. `text` is ASCII. Never allocates. */
export function isString(value: JsonValue | undefined, text: string): boolean {
  return value?.kind === "string" && keyEquals(value.document.bytes, value.start + 1, value.end - 1, text);
}
