import { type JsonDocument, type JsonValue, MEMBER_INTS, valueAt } from "./json-document.ts";
import { keyEquals } from "./key-equals.ts";
import { STRING_FAULT, scanString } from "./scan-string.ts";
import { tokenStart, valueEnd } from "./value-end.ts";

/**
 * Looks a member of an object up by its key; of repeated keys the last one counts.
 * Missing values: undefined when there is no such member, and for all that is not an object.
 * Cost: for the root object compares the listed keys; for others walks over all members. To read several members of an
 * object that is not the root, one walk with `members` costs less.
 */
export function get(value: JsonValue | undefined, key: string): JsonValue | undefined {
  if (value?.kind !== "object") return undefined;
  const document = value.document;
  return value.start === document.root.start ? listedMember(document, key) : walkedMember(document, value.start, key);
}

function listedMember(document: JsonDocument, key: string): JsonValue | undefined {
  const table = document.rootMembers;
  for (let at = table.length - MEMBER_INTS; at >= 0; at -= MEMBER_INTS) {
    if (keyEquals(document.bytes, table[at]!, table[at + 1]!, key)) {
      return valueAt(document, table[at + 2]!, table[at + 3]!);
    }
  }
  return undefined;
}

function walkedMember(document: JsonDocument, objectStart: number, key: string): JsonValue | undefined {
  const bytes = document.bytes;
  let start = -1;
  let end = 0;
  let index = tokenStart(bytes, objectStart + 1);
  while (bytes[index] === 0x22) {
    const close = scanString(bytes, document.view, index + 1);
    if (close === STRING_FAULT) break;
    const keyEnd = close < 0 ? ~close : close;
    const matches = keyEquals(bytes, index + 1, keyEnd, key);
    index = tokenStart(bytes, tokenStart(bytes, keyEnd + 1) + 1);
    const found = valueEnd(document, index);
    if (matches) {
      start = index;
      end = found;
    }
    index = tokenStart(bytes, found < 0 ? ~found : found);
    if (bytes[index] !== 0x2c) break;
    index = tokenStart(bytes, index + 1);
  }
  return start === -1 ? undefined : valueAt(document, start, end);
}
