/** Texts up to this length are written faster one by one than by a call of the platform. */
const shortChars = 40;

/** Writes protobuf wire format into a growing buffer. Tags are given as on the wire: `number << 3 | type`. */
export class WireWriter {
  /** Room to leave behind a message whose size is known, so that it is never copied. */
  static readonly slackBytes: number = 8;
  #buffer: Buffer;
  #at = 0;

  constructor(sizeHint: number = 64) {
    this.#buffer = Buffer.allocUnsafe(sizeHint);
  }

  varint(value: number): void {
    this.#room(5);
    let rest = value >>> 0;
    while (rest >= 0x80) {
      this.#buffer[this.#at++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    this.#buffer[this.#at++] = rest;
  }

  varintField(tag: number, value: number): void {
    this.varint(tag);
    this.varint(value);
  }

  double(tag: number, value: number): void {
    this.varint(tag);
    this.#room(8);
    this.#at = this.#buffer.writeDoubleLE(value, this.#at);
  }

  string(tag: number, text: string): void {
    this.varint(tag);
    const length = Buffer.byteLength(text);
    this.varint(length);
    this.#room(length);
    this.#at += this.#buffer.write(text, this.#at, length, "utf8");
  }

  /** One byte per character, the way HTTP header fields are written. */
  latin1(tag: number, text: string): void {
    this.varint(tag);
    this.varint(text.length);
    this.#room(text.length);
    if (text.length > shortChars) {
      this.#at += this.#buffer.write(text, this.#at, text.length, "latin1");
      return;
    }
    for (let at = 0; at < text.length; at++) this.#buffer[this.#at++] = text.charCodeAt(at);
  }

  bytes(tag: number, bytes: Uint8Array): void {
    this.varint(tag);
    this.varint(bytes.length);
    this.#room(bytes.length);
    this.#buffer.set(bytes, this.#at);
    this.#at += bytes.length;
  }

  /** What was written; the writer must not be used afterwards. */
  finish(): Buffer {
    return this.#buffer.subarray(0, this.#at);
  }

  #room(bytes: number): void {
    const needed = this.#at + bytes;
    if (needed <= this.#buffer.length) return;
    const larger = Buffer.allocUnsafe(Math.max(needed, this.#buffer.length * 2));
    this.#buffer.copy(larger, 0, 0, this.#at);
    this.#buffer = larger;
  }
}

/** Bytes a varint takes. */
export function varintSize(value: number): number {
  if (value < 0x80) return 1;
  if (value < 0x4000) return 2;
  if (value < 0x200000) return 3;
  return value < 0x10000000 ? 4 : 5;
}
