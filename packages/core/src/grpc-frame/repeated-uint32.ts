import { ProtoFields, wireType } from "./proto-fields.ts";

const maxVarintBytes = 10;

/** Values that may stand one by one; the packed form has no limit of its own. */
const maxPlainValues = 1_048_576;

/**
 * Counts the values of a repeated number field, packed or one by one, and checks that the whole message is well-formed.
 * Missing values: undefined when it is not. Cost: one pass over the message.
 */
export function countVarints(message: Uint8Array, field: number): number | undefined {
  const fields = new ProtoFields(message, maxPlainValues);
  let count = 0;
  while (fields.next()) {
    if (fields.is(field, wireType.varint)) count++;
    else if (fields.is(field, wireType.bytes)) {
      const packed = countPacked(fields.bytes());
      if (packed === undefined) return undefined;
      count += packed;
    }
  }
  return fields.problem === undefined ? count : undefined;
}

/**
 * Writes the values of a repeated number field to `out` from `at` on, each cut to its low 32 bits; returns where the next
 * one would go. The message is one that {@link countVarints} has counted, and `out` has room for them.
 */
export function readUint32s(message: Uint8Array, field: number, out: Uint32Array, at: number): number {
  const fields = new ProtoFields(message, maxPlainValues);
  let to = at;
  while (fields.next()) {
    if (fields.is(field, wireType.varint)) out[to++] = fields.uint32();
    else if (fields.is(field, wireType.bytes)) to = readPacked(fields.bytes(), out, to);
  }
  return to;
}

function countPacked(bytes: Uint8Array): number | undefined {
  let count = 0;
  let length = 0;
  for (let i = 0; i < bytes.length; i++) {
    length++;
    if (bytes[i]! < 0x80) {
      count++;
      length = 0;
    } else if (length === maxVarintBytes) return undefined;
  }
  return length === 0 ? count : undefined;
}

function readPacked(bytes: Uint8Array, out: Uint32Array, at: number): number {
  let to = at;
  let value = 0;
  let shift = 0;
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i]!;
    if (shift < 32) value |= (byte & 0x7f) << shift;
    if (byte < 0x80) {
      out[to++] = value;
      value = 0;
      shift = 0;
    } else shift += 7;
  }
  return to;
}
