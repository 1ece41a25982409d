import { SIMPLE_ESCAPES } from "./scan-string.ts";

/**
 * Writes the inside of a checked JSON string to `target` with its escapes decoded to UTF-8.
 * Shape: `start` and `end` are the bounds between the quotes; returns the offset after the last byte written, at most
 * `offset + end - start`. All bytes of `target` up to there must exist, and any of them may be overwritten. Lone
 * surrogate escapes give EF BF BD (U+FFFD); bytes that are not escapes are copied as they are.
 */
export function unescapeInto(
  bytes: Uint8Array,
  start: number,
  end: number,
  target: Uint8Array,
  offset: number,
): number {
  // A DataView reads and writes four bytes at any address.
  const source = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const sink = new DataView(target.buffer, target.byteOffset, target.length);
  const lastFour = end - 4;
  const lastSixteen = end - 16;
  let from = start;
  let to = offset;
  while (from < end) {
    if (from <= lastSixteen) {
      const a = source.getInt32(from, true);
      const b = source.getInt32(from + 4, true);
      const c = source.getInt32(from + 8, true);
      const d = source.getInt32(from + 12, true);
      // All sixteen go over: what follows a backslash among them is written again.
      sink.setInt32(to, a, true);
      sink.setInt32(to + 4, b, true);
      sink.setInt32(to + 8, c, true);
      sink.setInt32(to + 12, d, true);
      let found = backslashIn(a);
      let plainBytes = 0;
      if (found === 0) {
        found = backslashIn(b);
        plainBytes = 4;
        if (found === 0) {
          found = backslashIn(c);
          plainBytes = 8;
          if (found === 0) {
            found = backslashIn(d);
            plainBytes = 12;
            if (found === 0) {
              from += 16;
              to += 16;
              continue;
            }
          }
        }
      }
      plainBytes += (31 - Math.clz32(found & -found)) >> 3;
      from += plainBytes;
      to += plainBytes;
    } else if (from <= lastFour) {
      const four = source.getInt32(from, true);
      const found = backslashIn(four);
      sink.setInt32(to, four, true);
      const plainBytes = found === 0 ? 4 : (31 - Math.clz32(found & -found)) >> 3;
      from += plainBytes;
      to += plainBytes;
      if (found === 0) continue;
    } else if (bytes[from] !== 0x5c) {
      target[to] = bytes[from]!;
      from++;
      to++;
      continue;
    }
    const meaning = SIMPLE_ESCAPES[bytes[from + 1]!]!;
    if (meaning !== 0) {
      target[to] = meaning;
      to++;
      from += 2;
    } else {
      const decoded = unicodeEscapeAt(bytes, from);
      to = writeCodePoint(target, to, decoded >> 4);
      from += decoded & 15;
    }
  }
  return to;
}

/** Not zero when one of four bytes is a backslash; then the lowest bit set is in the first of them. */
function backslashIn(four: number): number {
  const difference = four ^ 0x5c5c5c5c;
  // A backslash is zero here: subtracting one sets its top bit. The borrow sets bits above the lowest one at most.
  return (difference - 0x01010101) & ~difference & 0x80808080;
}

/** Counts the bytes unescapeInto would write. */
export function unescapedLength(bytes: Uint8Array, start: number, end: number): number {
  let length = end - start;
  let from = start;
  while (from < end) {
    if (bytes[from] !== 0x5c) {
      from++;
      continue;
    }
    if (bytes[from + 1] !== 0x75) {
      from += 2;
      length--;
      continue;
    }
    const decoded = unicodeEscapeAt(bytes, from);
    from += decoded & 15;
    length -= (decoded & 15) - codePointLength(decoded >> 4);
  }
  return length;
}

/** Reads the \\u escape at `index`: its code point times 16, plus the bytes it takes (6, or 12 for a pair). */
function unicodeEscapeAt(bytes: Uint8Array, index: number): number {
  const unit = hexUnit(bytes, index + 2);
  if (unit < 0xd800 || unit > 0xdfff) return (unit << 4) | 6;
  // The byte after a checked escape exists: the closing quote at the latest. So does one after a backslash.
  if (unit < 0xdc00 && bytes[index + 6] === 0x5c && bytes[index + 7] === 0x75) {
    const low = hexUnit(bytes, index + 8);
    if (low >= 0xdc00 && low <= 0xdfff) return ((0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00)) << 4) | 12;
  }
  return (0xfffd << 4) | 6;
}

/** Reads the UTF-16 unit that the checked escape at `index` stands for. */
export function escapedUnit(bytes: Uint8Array, index: number): number {
  return SIMPLE_ESCAPES[bytes[index + 1]!]! || hexUnit(bytes, index + 2);
}

function hexUnit(bytes: Uint8Array, index: number): number {
  return (
    (hexDigit(bytes[index]!) << 12) |
    (hexDigit(bytes[index + 1]!) << 8) |
    (hexDigit(bytes[index + 2]!) << 4) |
    hexDigit(bytes[index + 3]!)
  );
}

function hexDigit(byte: number): number {
  return byte <= 0x39 ? byte - 0x30 : (byte | 0x20) - 0x57;
}

function codePointLength(codePoint: number): number {
  if (codePoint < 0x80) return 1;
  if (codePoint < 0x800) return 2;
  return codePoint < 0x10000 ? 3 : 4;
}

function writeCodePoint(target: Uint8Array, offset: number, codePoint: number): number {
  let to = offset;
  if (codePoint < 0x80) {
    target[to++] = codePoint;
  } else if (codePoint < 0x800) {
    target[to++] = 0xc0 | (codePoint >> 6);
    target[to++] = 0x80 | (codePoint & 0x3f);
  } else if (codePoint < 0x10000) {
    target[to++] = 0xe0 | (codePoint >> 12);
    target[to++] = 0x80 | ((codePoint >> 6) & 0x3f);
    target[to++] = 0x80 | (codePoint & 0x3f);
  } else {
    target[to++] = 0xf0 | (codePoint >> 18);
    target[to++] = 0x80 | ((codePoint >> 12) & 0x3f);
    target[to++] = 0x80 | ((codePoint >> 6) & 0x3f);
    target[to++] = 0x80 | (codePoint & 0x3f);
  }
  return to;
}
