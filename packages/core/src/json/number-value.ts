import { decodeText } from "./decode-text.ts";
import type { JsonValue } from "./json-document.ts";

/** Integers of up to this many digits are exact. */
const EXACT_DIGITS = 15;
/** Digits of the greatest 32-bit integer. */
const MOST_DIGITS = 10;

/**
 * Reads a number as the nearest float64; one beyond its range is Infinity or -Infinity.
 * Missing values: undefined for all that is not a number, numbers in strings included.
 */
export function numberValue(value: JsonValue | undefined): number | undefined {
  if (value?.kind !== "number") return undefined;
  return readNumber(value.document.bytes, value.start, value.end);
}

/**
 * Reads an array of token ids: whole numbers from 0 to 4294967295, in any notation (`7`, `7.0`, `7e0`).
 * Shape: fresh memory, aligned with the elements, empty for an empty array.
 * Missing values: undefined for all that is not an array, and when any element is not such a number.
 * Cost: O(array), no object per element.
 */
export function uint32Values(value: JsonValue | undefined): Uint32Array | undefined {
  if (value?.kind !== "array") return undefined;
  const bytes = value.document.bytes;
  // The closing bracket.
  const last = value.end - 1;
  const found = new Uint32Array(mostElements(bytes, value.start + 1, last));
  let count = 0;
  let index = value.start + 1;
  while (index < last) {
    const byte = bytes[index]!;
    if (byte <= 0x20 || byte === 0x2c) {
      index++;
      continue;
    }
    if (byte !== 0x2d && (byte < 0x30 || byte > 0x39)) return undefined;
    const start = index;
    const digitsEnd = Math.min(last, start + MOST_DIGITS);
    let number = 0;
    while (index < digitsEnd) {
      const digit = bytes[index]! - 0x30;
      if (digit < 0 || digit > 9) break;
      number = number * 10 + digit;
      index++;
    }
    if (!endsElement(bytes[index]!)) {
      // A sign, a point, an exponent, or more digits.
      while (!endsElement(bytes[index]!)) index++;
      number = readNumber(bytes, start, index);
    }
    if (!Number.isInteger(number) || number < 0 || number > 0xffff_ffff) return undefined;
    found[count++] = number;
  }
  return count === found.length ? found : found.slice(0, count);
}

/** Tells whether a byte after a number in an array is not part of it. */
function endsElement(byte: number): boolean {
  return byte <= 0x20 || byte === 0x2c || byte === 0x5d;
}

function mostElements(bytes: Uint8Array, start: number, end: number): number {
  let most = 1;
  for (let index = start; index < end; index++) if (bytes[index] === 0x2c) most++;
  return most;
}

function readNumber(bytes: Uint8Array, start: number, end: number): number {
  const negative = bytes[start] === 0x2d;
  const from = negative ? start + 1 : start;
  if (end - from > EXACT_DIGITS) return Number(decodeText(bytes, start, end));
  let number = 0;
  for (let index = from; index < end; index++) {
    const digit = bytes[index]! - 0x30;
    if (digit < 0 || digit > 9) return Number(decodeText(bytes, start, end));
    number = number * 10 + digit;
  }
  return negative ? -number : number;
}
