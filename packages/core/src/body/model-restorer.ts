import { scanJson, stringValue } from "../json/index.ts";
import { keyEquals } from "../json/key-equals.ts";

/** Most bytes that one UTF-16 unit takes in a JSON string, as \u and four digits. */
const mostBytesPerUnit = 6;

/** Where the reader stands in the JSON text. */
const outside = 0;
/** In an object whose members matter: before a key, in a key, after a key, before a value. */
const beforeKey = 1;
const inKey = 2;
const afterKey = 3;
const beforeValue = 4;
/** In the model's name, all of which is held back. */
const inName = 5;
/** Behind a value of an object whose members matter, or in a number or literal. */
const afterValue = 6;
/** In a string, in an array or object, or in a string in one, that does not matter. */
const inString = 7;
const inOther = 8;
const inOtherString = 9;
/** Behind a byte that begins no object or array: until the next line nothing is looked for. */
const inNothing = 10;

/** Where the reader stands in a line of an event stream. */
const lineStart = 0;
const inData = 1;
const inOtherLine = 2;

const dataField = Buffer.from("data:");
const modelKey = Buffer.from('"model"');
/** With it, a key can be written another way. */
const unicodeEscape = Buffer.from("\\u");
const noBytes = new Uint8Array(0);

/**
 * Puts a model's name back into an answer as it passes: the value of `model` in the outermost object, and in an event
 * stream also that in a member of it, the holder, where it is the name to replace. Every other byte stays.
 *
 * Works on bytes as they come, however they are cut. Held back is at most a started name, bounded by the length of the
 * name looked for; a longer string is none. Bytes that are no JSON pass. Each event of a stream, and each line that
 * opens a value after one that ended, starts a new JSON text. Never throws.
 * Cost: O(bytes); a chunk without the name is returned as it came.
 */
export class ModelRestorer {
  readonly #from: string;
  readonly #fromBytes: Buffer;
  readonly #replacement: Uint8Array;
  readonly #streaming: boolean;
  /** The byte that ends a line; none in an answer that has no lines. */
  readonly #lineEnd: number;
  #json = outside;
  #line: number;
  /** Bytes of the field name seen in this line, and whether the line has any byte. */
  #lineBytes = 0;
  /** Objects whose members matter that are open: the outermost, and the holder in it. */
  #depth = 0;
  /** Containers open within one that does not matter. */
  #otherDepth = 0;
  #escape = false;
  /** The member of an event that may hold the model's name too. */
  readonly #holder: string | undefined;
  /** Room for the longest way to write a key that is looked for. */
  readonly #key: Uint8Array;
  #keyLength = 0;
  #keyIsModel = false;
  #keyIsHolder = false;
  /** The name as far as it has come, quotes included. */
  readonly #name: Uint8Array;
  #nameLength = 0;
  /** How much of the name came in earlier chunks. */
  #heldLength = 0;

  constructor(from: string, to: string, options: { readonly streaming: boolean; readonly holder: string | undefined }) {
    const { streaming, holder } = options;
    this.#from = from;
    this.#fromBytes = Buffer.from(from);
    this.#replacement = Buffer.from(JSON.stringify(to));
    this.#streaming = streaming;
    this.#holder = streaming ? holder : undefined;
    this.#key = new Uint8Array(Math.max("model".length, this.#holder?.length ?? 0) * mostBytesPerUnit);
    this.#lineEnd = streaming ? 0x0a : -1;
    this.#line = streaming ? lineStart : inData;
    this.#name = new Uint8Array(from.length * mostBytesPerUnit + 2);
  }

  /** Takes the next bytes and returns what to send on: the same array when nothing changes. */
  transform(bytes: Uint8Array, endOfStream: boolean): Uint8Array {
    const parts: Uint8Array[] = [];
    // What stands before this index has been put into `parts`.
    let from = 0;
    // Where the name begins that is being read; 0 for one that began in an earlier chunk.
    let nameStart = 0;
    let at = this.#passesUnread(bytes) ? bytes.length : 0;
    while (at < bytes.length) {
      if (bytes[at] === this.#lineEnd) {
        if (this.#json === inName) this.#giveUp(parts, afterValue);
        this.#endLine();
        at++;
      } else if (this.#line !== inData) {
        at = this.#readField(bytes, at);
      } else if (this.#json === inOther || this.#json === inOtherString) {
        at = this.#readOther(bytes, at);
      } else if (this.#json === inString) {
        at = this.#readString(bytes, at);
      } else if (this.#json === inKey) {
        at = this.#readKey(bytes, at);
      } else if (this.#json === inName) {
        at = this.#readName(bytes, at, parts);
        if (at >= 0) continue;
        at = ~at;
        if (nameStart > from) parts.push(bytes.subarray(from, nameStart));
        parts.push(this.#replacement);
        from = at;
      } else {
        nameStart = at;
        this.#step(bytes[at]!);
        at++;
      }
    }
    return this.#sent(bytes, parts, from, nameStart, endOfStream);
  }

  /** A chunk that ends with an event and has no model in it need not be read: behind it a new event starts. */
  #passesUnread(bytes: Uint8Array): boolean {
    if (!this.#streaming || this.#nearModel()) return false;
    const { length } = bytes;
    if (length < 3 || bytes[length - 1] !== 0x0a) return false;
    if (bytes[length - 2] !== 0x0a && (bytes[length - 2] !== 0x0d || bytes[length - 3] !== 0x0a)) return false;
    const chunk = bytes instanceof Buffer ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, length);
    if (chunk.indexOf(modelKey) !== -1 || chunk.indexOf(unicodeEscape) !== -1) return false;
    this.#lineBytes = 0;
    this.#endLine();
    return true;
  }

  /** Tells whether a name, or the key before it, has begun. */
  #nearModel(): boolean {
    const json = this.#json;
    return json === inName || json === inKey || (this.#keyIsModel && (json === afterKey || json === beforeValue));
  }

  #sent(bytes: Uint8Array, parts: Uint8Array[], from: number, nameStart: number, endOfStream: boolean): Uint8Array {
    if (this.#json === inName && endOfStream) this.#giveUp(parts, afterValue);
    let to = bytes.length;
    if (this.#json === inName) {
      to = nameStart;
      this.#heldLength = this.#nameLength;
    }
    if (from === 0 && to === bytes.length && parts.length === 0) return bytes;
    if (to > from) parts.push(bytes.subarray(from, to));
    if (parts.length === 0) return noBytes;
    return parts.length === 1 ? parts[0]! : Buffer.concat(parts);
  }

  /** The string is not the name looked for: what of it came in earlier chunks goes out, the rest stands in this one. */
  #giveUp(parts: Uint8Array[], json: number): void {
    if (this.#heldLength > 0) parts.push(this.#name.slice(0, this.#heldLength));
    this.#heldLength = 0;
    this.#json = json;
  }

  /** Returns where reading goes on, complemented when the name looked for ended there. */
  #readName(bytes: Uint8Array, from: number, parts: Uint8Array[]): number {
    const name = this.#name;
    let length = this.#nameLength;
    let escaping = this.#escape;
    let ended = false;
    let at = from;
    while (at < bytes.length && !ended) {
      const byte = bytes[at]!;
      if (byte === this.#lineEnd) break;
      if (length === name.length) {
        // Longer than any way to write the name.
        this.#escape = escaping;
        this.#giveUp(parts, inString);
        return at;
      }
      name[length++] = byte;
      at++;
      ended = byte === 0x22 && !escaping;
      escaping = byte === 0x5c && !escaping;
    }
    this.#nameLength = length;
    this.#escape = escaping;
    if (!ended) return at;
    if (!this.#isFrom()) {
      this.#giveUp(parts, afterValue);
      return at;
    }
    this.#heldLength = 0;
    this.#json = afterValue;
    return ~at;
  }

  #isFrom(): boolean {
    const text = this.#name.subarray(1, this.#nameLength - 1);
    if (!text.includes(0x5c)) return this.#fromBytes.equals(text);
    const name = scanJson(this.#name.subarray(0, this.#nameLength));
    return name.ok && stringValue(name.root) === this.#from;
  }

  #endLine(): void {
    // A line end in a string is no JSON: the string is over. An empty line ends the event.
    if (this.#lineBytes === 0 || this.#json === inNothing) this.#reset();
    else if (this.#json === inString || this.#json === inKey) this.#json = afterValue;
    else if (this.#json === inOtherString) this.#json = inOther;
    this.#escape = false;
    this.#line = lineStart;
    this.#lineBytes = 0;
  }

  #reset(): void {
    this.#json = outside;
    this.#depth = 0;
    this.#otherDepth = 0;
  }

  /** Reads the start of a line up to its colon; all of it when it holds no data. */
  #readField(bytes: Uint8Array, from: number): number {
    let at = from;
    let length = this.#lineBytes;
    let line = this.#line;
    while (at < bytes.length && line !== inData) {
      const byte = bytes[at]!;
      if (byte === this.#lineEnd) break;
      at++;
      // The CR of an empty line.
      if (byte === 0x0d && length === 0) continue;
      if (line === lineStart && byte === dataField[length]) {
        if (length === dataField.length - 1) line = inData;
      } else line = inOtherLine;
      length++;
    }
    this.#lineBytes = length;
    this.#line = line;
    return at;
  }

  /** Reads a string that does not matter, to its end or that of the line. */
  #readString(bytes: Uint8Array, from: number): number {
    let escaping = this.#escape;
    let at = from;
    while (at < bytes.length) {
      const byte = bytes[at]!;
      if (byte === this.#lineEnd) break;
      at++;
      if (byte === 0x22 && !escaping) {
        this.#json = afterValue;
        break;
      }
      escaping = byte === 0x5c && !escaping;
    }
    this.#escape = escaping;
    return at;
  }

  /** Reads an array or object that does not matter, to its end or that of the line. */
  #readOther(bytes: Uint8Array, from: number): number {
    const lineEnd = this.#lineEnd;
    let inText = this.#json === inOtherString;
    let escaping = this.#escape;
    let depth = this.#otherDepth;
    let at = from;
    while (at < bytes.length && depth > 0) {
      const byte = bytes[at]!;
      if (byte === lineEnd) break;
      at++;
      if (inText) {
        inText = byte !== 0x22 || escaping;
        escaping = byte === 0x5c && !escaping;
      } else if (byte === 0x22) inText = true;
      else if ((byte | 0x20) === 0x7b) depth++;
      else if ((byte | 0x20) === 0x7d) depth--;
    }
    this.#escape = escaping;
    this.#otherDepth = depth;
    if (depth === 0) this.#json = this.#depth === 0 ? outside : afterValue;
    else this.#json = inText ? inOtherString : inOther;
    return at;
  }

  /** Reads a byte that is part of no string. */
  #step(byte: number): void {
    switch (this.#json) {
      case outside:
        if (byte === 0x7b) {
          this.#depth = 1;
          this.#json = beforeKey;
        } else if (byte === 0x5b) this.#openOther();
        else if (byte > 0x20) this.#json = inNothing;
        return;
      case inNothing:
        return;
      case beforeKey:
        if (byte === 0x22) {
          this.#json = inKey;
          this.#keyLength = 0;
        } else if (byte === 0x7d) this.#close();
        return;
      case afterKey:
        if (byte === 0x3a) this.#json = beforeValue;
        return;
      case beforeValue:
        if (byte === 0x22) this.#openString();
        else if (byte === 0x7b && this.#keyIsHolder) {
          this.#depth = 2;
          this.#json = beforeKey;
        } else if (byte === 0x7b || byte === 0x5b) this.#openOther();
        else if (byte > 0x20) this.#json = afterValue;
        return;
      default:
        if (byte === 0x2c) this.#json = beforeKey;
        else if (byte === 0x7d) this.#close();
    }
  }

  #openString(): void {
    this.#json = this.#keyIsModel ? inName : inString;
    this.#name[0] = 0x22;
    this.#nameLength = 1;
  }

  #openOther(): void {
    this.#otherDepth = 1;
    this.#json = inOther;
  }

  #close(): void {
    this.#depth--;
    this.#json = this.#depth === 0 ? outside : afterValue;
  }

  #readKey(bytes: Uint8Array, from: number): number {
    let length = this.#keyLength;
    let escaping = this.#escape;
    let ended = false;
    let at = from;
    while (at < bytes.length && !ended) {
      const byte = bytes[at]!;
      if (byte === this.#lineEnd) break;
      at++;
      ended = byte === 0x22 && !escaping;
      escaping = byte === 0x5c && !escaping;
      if (ended) break;
      // A longer key is none of those looked for.
      if (length < this.#key.length) this.#key[length] = byte;
      if (length <= this.#key.length) length++;
    }
    this.#keyLength = length;
    this.#escape = escaping;
    if (ended) {
      this.#json = afterKey;
      this.#keyIsModel = this.#keyIs("model");
      this.#keyIsHolder = this.#holder !== undefined && this.#depth === 1 && this.#keyIs(this.#holder);
    }
    return at;
  }

  #keyIs(key: string): boolean {
    const length = this.#keyLength;
    return length <= this.#key.length && keyEquals(this.#key, 0, length, key);
  }
}
