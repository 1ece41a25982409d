/** Thrown for bytes that are no protobuf message of the expected kind; never leaves this package's decode functions. */
export class MalformedMessage extends Error {}

const decoder = new TextDecoder("utf-8", { fatal: true });

const longestKnownBytes = 32;
const knownSlots = 512;
const known: string[] = new Array<string>(knownSlots).fill("");

/**
 * The bytes as a text, one character per byte. Short texts that came before are found again instead of being made anew:
 * names and most values of headers are the same in every request, and comparing one takes a fifth of making it.
 */
function knownText(bytes: Buffer, start: number, end: number): string {
  const length = end - start;
  if (length === 0) return "";
  if (length > longestKnownBytes) return bytes.toString("latin1", start, end);
  const slot =
    ((bytes[start]! * 31 + bytes[end - 1]!) * 31 + bytes[start + (length >> 1)]! + length) & (knownSlots - 1);
  const text = known[slot]!;
  if (text.length === length) {
    let at = 0;
    while (at < length && text.charCodeAt(at) === bytes[start + at]!) at++;
    if (at === length) return text;
  }
  const made = bytes.toString("latin1", start, end);
  known[slot] = made;
  return made;
}

/**
 * Reads protobuf wire format in place. Every read is bounded by `end`; what does not fit throws
 * {@link MalformedMessage}.
 */
export class WireReader {
  readonly #bytes: Buffer;
  #at: number;
  #end: number;

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#at = 0;
    this.#end = bytes.length;
  }

  get done(): boolean {
    return this.#at >= this.#end;
  }

  /** Field number and wire type, as on the wire: `number << 3 | type`. */
  tag(): number {
    const tag = this.uint32();
    if (tag >>> 3 === 0) throw new MalformedMessage("field number 0");
    return tag;
  }

  /** A varint, truncated to 32 bits as protobuf does for 32-bit fields. */
  uint32(): number {
    let value = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      if (this.#at >= this.#end) throw new MalformedMessage("varint runs past the end");
      const byte = this.#bytes[this.#at++]!;
      if (shift < 32) value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value >>> 0;
    }
    throw new MalformedMessage("varint of more than ten bytes");
  }

  /** A boolean: any varint but zero, all 64 bits looked at. */
  bool(): boolean {
    let any = 0;
    for (let count = 0; count < 10; count++) {
      if (this.#at >= this.#end) throw new MalformedMessage("varint runs past the end");
      const byte = this.#bytes[this.#at++]!;
      any |= byte & 0x7f;
      if (byte < 0x80) return any !== 0;
    }
    throw new MalformedMessage("varint of more than ten bytes");
  }

  double(): number {
    if (this.#end - this.#at < 8) throw new MalformedMessage("double runs past the end");
    const value = this.#bytes.readDoubleLE(this.#at);
    this.#at += 8;
    return value;
  }

  /** Length-delimited bytes, without copying. */
  bytes(): Buffer {
    const start = this.#take();
    return this.#bytes.subarray(start, this.#at);
  }

  /** A UTF-8 string; invalid UTF-8 is malformed. */
  string(): string {
    const start = this.#take();
    const bytes = this.#bytes;
    for (let at = start; at < this.#at; at++) {
      if (bytes[at]! >= 0x80) return decoder.decode(bytes.subarray(start, this.#at));
    }
    return bytes.toString("latin1", start, this.#at);
  }

  /** Length-delimited bytes as one character per byte, the way HTTP header fields are read. */
  latin1(): string {
    const start = this.#take();
    return knownText(this.#bytes, start, this.#at);
  }

  /** Calls `read` with this reader confined to the next length-delimited field. */
  message(read: (reader: WireReader) => void): void {
    const start = this.#take();
    const after = this.#at;
    const outerEnd = this.#end;
    this.#at = start;
    this.#end = after;
    read(this);
    this.#at = after;
    this.#end = outerEnd;
  }

  /** Passes over a field of any type. */
  skip(tag: number): void {
    switch (tag & 7) {
      case 0:
        this.uint32();
        return;
      case 1:
        this.#advance(8);
        return;
      case 2:
        this.#take();
        return;
      case 3:
        this.#skipGroup(tag >>> 3, 0);
        return;
      case 5:
        this.#advance(4);
        return;
      default:
        throw new MalformedMessage(`wire type ${tag & 7}`);
    }
  }

  #skipGroup(field: number, depth: number): void {
    if (depth > 32) throw new MalformedMessage("groups nested too deep");
    for (;;) {
      const tag = this.tag();
      if ((tag & 7) === 4) {
        if (tag >>> 3 !== field) throw new MalformedMessage("group ends with another number");
        return;
      }
      if ((tag & 7) === 3) this.#skipGroup(tag >>> 3, depth + 1);
      else this.skip(tag);
    }
  }

  #advance(bytes: number): void {
    if (this.#end - this.#at < bytes) throw new MalformedMessage("field runs past the end");
    this.#at += bytes;
  }

  #take(): number {
    const length = this.uint32();
    const start = this.#at;
    this.#advance(length);
    return start;
  }
}
