import { type JsonValue, members } from "@pointsman/core/json";

/** JSON text to put in a member's place; `undefined` takes the member away. */
export type MemberEdits = ReadonlyMap<string, Uint8Array | undefined>;

const comma = 0x2c;
const quote = 0x22;

/**
 * Sets and removes members of an object and leaves every other byte as it is.
 * Shape: the slices of the new text of `value`, in order: views of the document's bytes around the given texts. A member
 * that is there keeps its place; of one that is repeated only the last stays, so that no reader sees another value. A new
 * member comes last, in the order of `edits`.
 * Missing values: a `value` that is no object is replaced by an object of the edits. Cost: O(object), copies no values.
 */
export function editObject(value: JsonValue | undefined, edits: MemberEdits): Uint8Array[] {
  if (value?.kind !== "object") return newObject(edits);
  const { bytes } = value.document;
  const lastAt = lastOccurrences(value, edits);
  const slices: Uint8Array[] = [];
  /** Start of the bytes that are kept and not yet in `slices`. */
  let from = value.start;
  let previousEnd = value.start + 1;
  let kept = 0;
  let removedBefore = false;
  const cursor = members(value);
  while (cursor.next()) {
    const edited = editedKey(cursor, edits);
    const replacement = edited === undefined ? undefined : edits.get(edited);
    const stays = edited === undefined || (replacement !== undefined && lastAt.get(edited) === cursor.start);
    if (!stays) {
      push(slices, bytes, from, previousEnd);
      from = cursor.end;
      removedBefore = true;
    } else {
      // Behind removed members at the front there must be no comma.
      if (removedBefore && kept === 0) from = keyStart(bytes, previousEnd);
      removedBefore = false;
      kept++;
      if (replacement !== undefined) {
        push(slices, bytes, from, cursor.start);
        slices.push(replacement);
        from = cursor.end;
      }
    }
    previousEnd = cursor.end;
  }
  const added = addedMembers(edits, lastAt, kept > 0);
  if (added.length > 0) {
    push(slices, bytes, from, previousEnd);
    slices.push(...added);
    from = previousEnd;
  }
  push(slices, bytes, from, value.end);
  return slices;
}

/** `editObject` of the root, with the bytes around it. */
export function editRoot(root: JsonValue, edits: MemberEdits): Uint8Array[] {
  const { bytes } = root.document;
  const slices: Uint8Array[] = [];
  push(slices, bytes, 0, root.start);
  slices.push(...editObject(root, edits));
  push(slices, bytes, root.end, bytes.length);
  return slices;
}

function editedKey(cursor: { keyIs(key: string): boolean }, edits: MemberEdits): string | undefined {
  for (const key of edits.keys()) if (cursor.keyIs(key)) return key;
  return undefined;
}

function lastOccurrences(value: JsonValue, edits: MemberEdits): Map<string, number> {
  const lastAt = new Map<string, number>();
  const cursor = members(value);
  while (cursor.next()) {
    const key = editedKey(cursor, edits);
    if (key !== undefined) lastAt.set(key, cursor.start);
  }
  return lastAt;
}

function addedMembers(edits: MemberEdits, present: ReadonlyMap<string, number>, afterOthers: boolean): Uint8Array[] {
  const slices: Uint8Array[] = [];
  let separator = afterOthers ? "," : "";
  for (const [key, text] of edits) {
    if (text === undefined || present.has(key)) continue;
    slices.push(Buffer.from(`${separator}${JSON.stringify(key)}:`), text);
    separator = ",";
  }
  return slices;
}

function newObject(edits: MemberEdits): Uint8Array[] {
  return [Buffer.from("{"), ...addedMembers(edits, new Map(), false), Buffer.from("}")];
}

/** The opening quote of the next key. */
function keyStart(bytes: Uint8Array, from: number): number {
  let at = from;
  while (bytes[at] === comma || (bytes[at] !== quote && bytes[at]! <= 0x20)) at++;
  return at;
}

function push(slices: Uint8Array[], bytes: Uint8Array, start: number, end: number): void {
  if (end > start) slices.push(bytes.subarray(start, end));
}
