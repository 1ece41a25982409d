/** What scanString returns when the string is not closed, or holds a bad byte or escape. */
export const STRING_FAULT = -0x8000_0000;

/** Aligned 32-bit words over the same memory as a byte array. */
export interface ByteWords {
  /** Empty where words do not help: for short inputs, and where the first byte in memory is not the lowest. */
  readonly words: Int32Array;
  /** Bytes of the first word that lie before the byte array: byte i is in word (i + shift) >> 2. */
  readonly shift: number;
}

const NO_WORDS: ByteWords = { words: new Int32Array(0), shift: 0 };
const SHORTEST_WITH_WORDS = 64;
const LOWEST_BYTE_FIRST: boolean = new Uint8Array(Int32Array.of(1).buffer)[0] === 1;

/** Makes the word view that scanString reads strings with. No copy. */
export function byteWords(bytes: Uint8Array): ByteWords {
  if (bytes.length < SHORTEST_WITH_WORDS || !LOWEST_BYTE_FIRST) return NO_WORDS;
  const shift = bytes.byteOffset & 3;
  return { words: new Int32Array(bytes.buffer, bytes.byteOffset - shift, (bytes.length + shift) >> 2), shift };
}

/** What a byte after a backslash stands for; 0 where it is no escape, and for `u`. */
export const SIMPLE_ESCAPES: Uint8Array = byteTable('"\\/bfnrt', '"\\/\b\f\n\r\t');
const HEX_DIGITS: Uint8Array = byteTable("0123456789abcdefABCDEF", "1".repeat(22));

function byteTable(keys: string, values: string): Uint8Array {
  const table = new Uint8Array(256);
  for (let index = 0; index < keys.length; index++) table[keys.charCodeAt(index)] = values.charCodeAt(index);
  return table;
}

/** Bytes read one by one at the start: enough for most keys. */
const SHORT_STRING = 12;

/**
 * Finds the closing quote of a string and checks every byte up to it.
 * Shape: `from` is the byte after the opening quote; no byte before it has an effect. Returns the index of the closing
 * quote, its bitwise complement (negative) when the string holds escapes, or STRING_FAULT.
 * Bytes from 0x80 on pass unchecked. O(string), no allocation.
 */
export function scanString(bytes: Uint8Array, view: ByteWords, from: number): number {
  const shortEnd = Math.min(from + SHORT_STRING, bytes.length);
  let index = from;
  while (index < shortEnd) {
    const byte = bytes[index]!;
    if (byte === 0x22) return index;
    if (byte === 0x5c || byte < 0x20) break;
    index++;
  }
  return scanByWords(bytes, view, index);
}

/**
 * Goes on from `from`, inside a string, four bytes at a time.
 *
 * A byte c stops when c < 0x20, c = 0x22 or c = 0x5c. With bytes packed in a word x: (c ^ 2) < 0x21 holds exactly for
 * the control bytes and the quote, and subtracting the bound from each byte sets its top bit when the byte was smaller;
 * a byte with the top bit set never stops. So the mask of top bits is zero exactly when no byte stops. A borrow only
 * reaches above a byte that stops: the lowest bit set is exact, unless the stop below it was already passed over, so
 * the byte is looked at.
 */
function scanByWords(bytes: Uint8Array, view: ByteWords, from: number): number {
  const words = view.words;
  const shift = view.shift;
  const wordEnd = words.length;
  const end = bytes.length;
  let escaped = false;
  let index = from;
  let word = (index + shift) >> 2;
  // Leaves the bytes of the first word before `index` out.
  let kept = -1 << (((index + shift) & 3) << 3);
  let blocksFrom = word + SINGLE_WORDS;
  for (;;) {
    // Find the next byte that stops.
    let stops = 0;
    while (word < wordEnd) {
      const a = words[word]!;
      stops = (((a ^ 0x02020202) - 0x21212121) | ((a ^ 0x5c5c5c5c) - 0x01010101)) & ~a & 0x80808080 & kept;
      if (stops !== 0) break;
      kept = -1;
      word++;
      if (word >= blocksFrom) {
        word = skipCleanBlocks(words, word, wordEnd);
        blocksFrom = word + BLOCK_WORDS + 1;
      }
    }
    if (stops !== 0) {
      index = (word << 2) - shift + ((31 - Math.clz32(stops & -stops)) >> 3);
    } else {
      // At most three bytes are in no word, unless there are no words.
      index = Math.max(index, (wordEnd << 2) - shift);
      while (index < end && bytes[index] !== 0x22 && bytes[index] !== 0x5c && bytes[index]! >= 0x20) index++;
      if (index >= end) return STRING_FAULT;
    }
    const byte = bytes[index]!;
    if (byte === 0x22) return escaped ? ~index : index;
    if (byte === 0x5c) {
      const length = escapeLength(bytes, index);
      if (length === 0) return STRING_FAULT;
      index += length;
      escaped = true;
    } else if (byte < 0x20) {
      return STRING_FAULT;
    } else {
      index++;
    }
    word = (index + shift) >> 2;
    kept = -1 << (((index + shift) & 3) << 3);
    blocksFrom = word + SINGLE_WORDS;
  }
}

/** Clean words after which whole blocks are tried. */
const SINGLE_WORDS = 4;
const BLOCK_WORDS = 4;

/** Returns the first word of the first block that holds a byte that stops, or that reaches over `wordEnd`. */
function skipCleanBlocks(words: Int32Array, from: number, wordEnd: number): number {
  let word = from;
  for (const last = wordEnd - BLOCK_WORDS; word <= last; word += BLOCK_WORDS) {
    const a = words[word]!;
    const b = words[word + 1]!;
    const c = words[word + 2]!;
    const d = words[word + 3]!;
    const stops =
      ((((a ^ 0x02020202) - 0x21212121) | ((a ^ 0x5c5c5c5c) - 0x01010101)) & ~a) |
      ((((b ^ 0x02020202) - 0x21212121) | ((b ^ 0x5c5c5c5c) - 0x01010101)) & ~b) |
      ((((c ^ 0x02020202) - 0x21212121) | ((c ^ 0x5c5c5c5c) - 0x01010101)) & ~c) |
      ((((d ^ 0x02020202) - 0x21212121) | ((d ^ 0x5c5c5c5c) - 0x01010101)) & ~d);
    if ((stops & 0x80808080) !== 0) break;
  }
  return word;
}

/** Returns how many bytes the escape at `index` takes, 0 when it is none or is cut off. */
export function escapeLength(bytes: Uint8Array, index: number): number {
  const end = bytes.length;
  if (index + 1 >= end) return 0;
  const letter = bytes[index + 1]!;
  if (SIMPLE_ESCAPES[letter] !== 0) return 2;
  return letter === 0x75 &&
    index + 5 < end &&
    HEX_DIGITS[bytes[index + 2]!] !== 0 &&
    HEX_DIGITS[bytes[index + 3]!] !== 0 &&
    HEX_DIGITS[bytes[index + 4]!] !== 0 &&
    HEX_DIGITS[bytes[index + 5]!] !== 0
    ? 6
    : 0;
}
