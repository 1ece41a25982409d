/**
 * Says why and where a byte sequence is not one JSON value.
 * Shape: `message` is the text Go's encoding/json gives for the same bytes, but for the depth and size limits,
 * which have their own texts. It holds at most one character of the input.
 * Units: `offset` is the zero-based index of the first byte that cannot stand there; the input length when the input
 * ends too early. Go's SyntaxError.Offset counts bytes read: one more for a bad byte, equal at the end of input.
 */
export class JsonError {
  readonly ok: false = false;
  readonly message: string;
  readonly offset: number;

  constructor(message: string, offset: number) {
    this.message = message;
    this.offset = offset;
  }
}

/** Describes a byte that may not stand between tokens. */
export function structureError(bytes: Uint8Array, offset: number, context: string): JsonError {
  const byte = bytes[offset];
  if (byte === undefined) return new JsonError("unexpected end of JSON input", offset);
  return new JsonError(`invalid character ${quoteByte(byte)} ${context}`, offset);
}

/** Describes a byte that may not stand inside a number, a literal or an escape; a cut-off token reads as a space. */
function tokenError(bytes: Uint8Array, offset: number, context: string): JsonError {
  return new JsonError(`invalid character ${quoteByte(bytes[offset] ?? 0x20)} ${context}`, offset);
}

/** Finds the fault in a string that failed to scan. `from` is the byte after the opening quote. O(string). */
export function stringError(bytes: Uint8Array, from: number): JsonError {
  let offset = from;
  while (offset < bytes.length) {
    const byte = bytes[offset]!;
    if (byte < 0x20) return structureError(bytes, offset, "in string literal");
    offset++;
    if (byte !== 0x5c) continue;
    const letter = bytes[offset];
    if (letter === 0x75) {
      for (let digit = 1; digit <= 4; digit++) {
        if (!isHexDigit(bytes[offset + digit])) {
          return tokenError(bytes, Math.min(offset + digit, bytes.length), "in \\u hexadecimal character escape");
        }
      }
      offset += 5;
    } else if (letter !== undefined && '"\\/bfnrt'.includes(String.fromCharCode(letter))) {
      offset++;
    } else {
      return tokenError(bytes, offset, "in string escape code");
    }
  }
  return new JsonError("unexpected end of JSON input", bytes.length);
}

/** Finds the fault in a number that failed to scan. `start` is its first byte. O(number). */
export function numberError(bytes: Uint8Array, start: number): JsonError {
  let offset = start;
  if (bytes[offset] === 0x2d) offset++;
  if (!isDigit(bytes[offset])) return tokenError(bytes, offset, "in numeric literal");
  while (isDigit(bytes[offset])) offset++;
  if (bytes[offset] === 0x2e) {
    offset++;
    if (!isDigit(bytes[offset])) return tokenError(bytes, offset, "after decimal point in numeric literal");
    while (isDigit(bytes[offset])) offset++;
  }
  // The caller found a fault, so what is left is an exponent without digits.
  offset++;
  if (bytes[offset] === 0x2b || bytes[offset] === 0x2d) offset++;
  return tokenError(bytes, offset, "in exponent of numeric literal");
}

/** Finds the fault in a `true`, `false` or `null` that failed to scan. `start` is its first byte. */
export function literalError(bytes: Uint8Array, start: number, literal: "true" | "false" | "null"): JsonError {
  let index = 1;
  while (bytes[start + index] === literal.charCodeAt(index)) index++;
  return tokenError(bytes, start + index, `in literal ${literal} (expecting '${literal.charAt(index)}')`);
}

/** Quotes one byte the way the texts above need it: the byte is read as a Latin-1 character. */
export function quoteByte(byte: number): string {
  switch (byte) {
    case 0x07:
      return "'\\a'";
    case 0x08:
      return "'\\b'";
    case 0x09:
      return "'\\t'";
    case 0x0a:
      return "'\\n'";
    case 0x0b:
      return "'\\v'";
    case 0x0c:
      return "'\\f'";
    case 0x0d:
      return "'\\r'";
    case 0x27:
      return "'\\''";
    case 0x5c:
      return "'\\\\'";
  }
  const hex = byte.toString(16).padStart(2, "0");
  if (byte < 0x20 || byte === 0x7f) return `'\\x${hex}'`;
  if ((byte >= 0x80 && byte <= 0xa0) || byte === 0xad) return `'\\u00${hex}'`;
  return `'${String.fromCharCode(byte)}'`;
}

function isDigit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= 0x30 && byte <= 0x39;
}

function isHexDigit(byte: number | undefined): boolean {
  if (byte === undefined) return false;
  const lower = byte | 0x20;
  return isDigit(byte) || (lower >= 0x61 && lower <= 0x66);
}
