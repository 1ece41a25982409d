import type { DescField, DescMessage } from "@bufbuild/protobuf";

/**
 * How bytes stand to a message type: `malformed` when lengths or groups do not add up, at any level that the type knows;
 * `other-type` when a known field has another wire type, which readers take differently.
 */
export type MessageShape = "fine" | "malformed" | "other-type";

const maxGroups = 100;
/** What ends a walk early. */
class Verdict extends Error {
  readonly shape: MessageShape;
  constructor(shape: MessageShape) {
    super(shape);
    this.shape = shape;
  }
}

type Fields = (number: number) => { readonly wireType: number; readonly fields: Fields | undefined } | undefined;

/** Looks at the lengths only, with every message confined to its own. */
export function messageShape(bytes: Uint8Array, message: DescMessage): MessageShape {
  try {
    new Walk(bytes).message(0, bytes.length, fieldsOf(message));
    return "fine";
  } catch (thrown: unknown) {
    if (thrown instanceof Verdict) return thrown.shape;
    throw thrown;
  }
}

function fieldsOf(message: DescMessage): Fields {
  return (number) => {
    const field = message.fields.find((each) => each.number === number);
    return field && { wireType: wireTypeOf(field), fields: innerOf(field) };
  };
}

function innerOf(field: DescField): Fields | undefined {
  if (field.fieldKind !== "map") return field.message && fieldsOf(field.message);
  const { message } = field;
  return (number) => {
    if (number === 1) return { wireType: 2, fields: undefined };
    return number === 2 ? { wireType: 2, fields: message && fieldsOf(message) } : undefined;
  };
}

/** Source: protobuf's encoding. Only the types that the messages here have. */
function wireTypeOf(field: DescField): number {
  if (field.fieldKind === "map" || field.message !== undefined) return 2;
  if (field.fieldKind === "enum") return 0;
  // google.protobuf type numbers: 1 double, 9 string, 12 bytes.
  if (field.scalar === 9 || field.scalar === 12) return 2;
  return field.scalar === 1 ? 1 : 0;
}

class Walk {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  message(start: number, end: number, fields: Fields): void {
    this.#at = start;
    while (this.#at < end) {
      const tag = this.#varint(end);
      if (tag > 0xffffffffn) throw new Verdict("other-type");
      const number = Number(tag >> 3n);
      const wireType = Number(tag & 7n);
      if (number === 0) throw new Verdict("malformed");
      const field = fields(number);
      if (field === undefined) this.#skip(number, wireType, end, maxGroups);
      else if (field.wireType !== wireType) throw new Verdict("other-type");
      else if (field.fields === undefined) this.#skip(number, wireType, end, maxGroups);
      else {
        const length = this.#length(end);
        this.message(this.#at, this.#at + length, field.fields);
      }
    }
  }

  #skip(number: number, wireType: number, end: number, groups: number): void {
    if (wireType === 0) this.#varint(end);
    else if (wireType === 1) this.#advance(8, end);
    else if (wireType === 2) this.#advance(this.#length(end), end);
    else if (wireType === 5) this.#advance(4, end);
    else if (wireType === 3 && groups > 0) {
      for (;;) {
        const tag = this.#varint(end);
        if (tag > 0xffffffffn) throw new Verdict("other-type");
        if (Number(tag & 7n) === 4) {
          if (Number(tag >> 3n) !== number) throw new Verdict("malformed");
          return;
        }
        this.#skip(Number(tag >> 3n), Number(tag & 7n), end, groups - 1);
      }
    } else throw new Verdict("malformed");
  }

  #length(end: number): number {
    const length = this.#varint(end);
    // Readers keep 32 bits of it.
    if (length > 0xffffffffn) throw new Verdict("other-type");
    if (Number(length) > end - this.#at) throw new Verdict("malformed");
    return Number(length);
  }

  #advance(count: number, end: number): void {
    if (end - this.#at < count) throw new Verdict("malformed");
    this.#at += count;
  }

  #varint(end: number): bigint {
    let value = 0n;
    for (let count = 0n; count < 10n; count++) {
      if (this.#at >= end) throw new Verdict("malformed");
      const byte = this.#bytes[this.#at++]!;
      value |= BigInt(byte & 0x7f) << (count * 7n);
      if (byte < 0x80) return value;
    }
    throw new Verdict("malformed");
  }
}
