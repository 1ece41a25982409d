/** Value of each character of the standard alphabet, 255 for all others. */
const values = new Uint8Array(256).fill(255);
[..."ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"].forEach((character, value) => {
  values[character.charCodeAt(0)] = value;
});

/** Reads single bytes of base64 text without decoding the rest. Line breaks inside the text are not understood. */
export class Base64Bytes {
  readonly #text: Uint8Array;
  readonly #start: number;

  /** The base64 text is what `text` holds from `start` on. */
  constructor(text: Uint8Array, start: number) {
    this.#text = text;
    this.#start = start;
  }

  /** The byte at `index`; -1 beyond the end and where the text is no base64. */
  byte(index: number): number {
    const bits = (index % 3) * 8;
    const at = this.#start + Math.floor(index / 3) * 4 + Math.floor(bits / 6);
    const first = values[this.#text[at] ?? 0]!;
    const second = values[this.#text[at + 1] ?? 0]!;
    if (first === 255 || second === 255) return -1;
    return (((first << 6) | second) >> (4 - (bits % 6))) & 0xff;
  }

  /** An unsigned number of `length` bytes, the most significant first; -1 when one of them cannot be read. */
  bigEndian(index: number, length: number): number {
    let value = 0;
    for (let i = 0; i < length; i++) {
      const byte = this.byte(index + i);
      if (byte === -1) return -1;
      value = value * 256 + byte;
    }
    return value;
  }

  /** Tells whether these bytes stand at `index`. */
  startsWith(bytes: readonly number[], index: number): boolean {
    return bytes.every((byte, i) => this.byte(index + i) === byte);
  }
}
