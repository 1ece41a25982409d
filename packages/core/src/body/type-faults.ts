import { type JsonKind, type JsonValue, numberValue, rawBytes } from "../json/index.ts";

/** Bytes of a number that an error shows. */
const mostShownBytes = 64;

/** Names a kind of JSON value as Go's errors do. */
export function goKind(value: JsonValue): string {
  return value.kind === "true" || value.kind === "false" ? "bool" : value.kind;
}

/**
 * Collects what in a body is not of the type an API has for it, and keeps the text Go gives for the first in the body.
 * Absent fields and null are of every type. `field` is written as Go does: the innermost struct's name, then the path.
 */
export class TypeFaults {
  /** Missing values: undefined while all was of its type. */
  text: string | undefined;
  #at: number = Number.POSITIVE_INFINITY;

  /** Checks the kind of a value. Returns whether it is one of `kinds`. */
  expect(value: JsonValue | undefined, field: string, goType: string, ...kinds: readonly JsonKind[]): boolean {
    if (value === undefined || value.kind === "null") return false;
    if (kinds.includes(value.kind)) return true;
    this.#note(value, goKind(value), field, goType);
    return false;
  }

  /** Checks that a value is an integer of 64 bits, written without point and exponent. Returns whether it is. */
  expectInteger(value: JsonValue | undefined, field: string): boolean {
    if (!this.expect(value, field, "int", "number") || value === undefined) return false;
    if (isIntegerLiteral(value)) return true;
    const digits = Buffer.from(rawBytes(value).subarray(0, mostShownBytes)).toString("latin1");
    this.#note(value, `number ${digits}`, field, "int");
    return false;
  }

  #note(value: JsonValue, what: string, field: string, goType: string): void {
    if (value.start >= this.#at) return;
    this.#at = value.start;
    this.text = `json: cannot unmarshal ${what} into Go struct field ${field} of type ${goType}`;
  }
}

/** Tells whether a number is written as an integer and fits 64 bits, sign included. False for all that is no number. */
export function isIntegerLiteral(value: JsonValue | undefined): boolean {
  const count = numberValue(value);
  if (count === undefined || value === undefined) return false;
  const { bytes } = value.document;
  for (let at = value.start; at < value.end; at++) {
    const byte = bytes[at]!;
    if (byte !== 0x2d && (byte < 0x30 || byte > 0x39)) return false;
  }
  // Beyond 2^53 the nearest float tells too little.
  if (Number.isSafeInteger(count)) return true;
  if (value.end - value.start > 20) return false;
  const exact = BigInt(Buffer.from(rawBytes(value)).toString("latin1"));
  return BigInt.asIntN(64, exact) === exact;
}
