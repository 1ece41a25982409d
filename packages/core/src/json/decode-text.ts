const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
const LONGEST_BUILT_BY_CHARACTER = 8;

/** Decodes UTF-8. Each byte that belongs to no valid sequence gives one U+FFFD, as in Go. */
export function decodeText(bytes: Uint8Array, start: number, end: number): string {
  if (end - start <= LONGEST_BUILT_BY_CHARACTER) {
    let text = "";
    let index = start;
    for (; index < end; index++) {
      const byte = bytes[index]!;
      if (byte >= 0x80) break;
      text += String.fromCharCode(byte);
    }
    if (index === end) return text;
  }
  const part = bytes.subarray(start, end);
  const text = decoder.decode(part);
  // The platform may give one U+FFFD for several bytes that were cut off together.
  return text.includes("\ufffd") ? decoder.decode(replaceInvalidBytes(part)) : text;
}

/** Decodes the inside of a checked JSON string. Lone surrogate escapes give U+FFFD. */
export function decodeString(bytes: Uint8Array, start: number, end: number): string {
  const text = decodeText(bytes, start, end);
  if (!text.includes("\\")) return text;
  const parsed: unknown = JSON.parse(`"${text}"`);
  return wellFormed(String(parsed));
}

function wellFormed(text: string): string {
  // A method of every runtime in `engines` that the es2023 types do not list.
  return (text as string & { toWellFormed(): string }).toWellFormed();
}

/** Copies UTF-8 bytes with EF BF BD, the encoding of U+FFFD, in place of each byte that is not part of a character. */
function replaceInvalidBytes(bytes: Uint8Array): Uint8Array {
  const target = new Uint8Array(bytes.length * 3);
  let length = 0;
  let index = 0;
  while (index < bytes.length) {
    const size = sequenceLength(bytes, index);
    if (size === 0) {
      target[length++] = 0xef;
      target[length++] = 0xbf;
      target[length++] = 0xbd;
      index++;
    }
    for (const next = index + size; index < next; index++) target[length++] = bytes[index]!;
  }
  return target.subarray(0, length);
}

/** Returns how many bytes the valid UTF-8 sequence at `index` has, 0 when there is none. */
function sequenceLength(bytes: Uint8Array, index: number): number {
  const first = bytes[index]!;
  if (first < 0x80) return 1;
  if (first < 0xc2 || first > 0xf4) return 0;
  // The second byte is bounded more tightly where longer forms, surrogates or too high code points would start.
  const low = first === 0xe0 ? 0xa0 : first === 0xf0 ? 0x90 : 0x80;
  const high = first === 0xed ? 0x9f : first === 0xf4 ? 0x8f : 0xbf;
  const second = bytes[index + 1] ?? 0;
  if (second < low || second > high) return 0;
  if (first < 0xe0) return 2;
  if (!isContinuation(bytes[index + 2])) return 0;
  if (first < 0xf0) return 3;
  return isContinuation(bytes[index + 3]) ? 4 : 0;
}

function isContinuation(byte: number | undefined): boolean {
  return byte !== undefined && byte >= 0x80 && byte <= 0xbf;
}
