/** Most bytes that one UTF-16 unit takes in a JSON string, as \u and four digits. */
const mostBytesPerUnit = 6;
/** The longest way to write "response" with escapes. */
const longestKey = "response".length * mostBytesPerUnit;

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

/** Where the reader stands in a line of an event stream. */
const lineStart = 0;
const inData = 1;
const inOtherLine = 2;

const dataField = Buffer.from("data:");
const noBytes = new Uint8Array(0);

/**
 * Puts a model's name back into an answer as it passes: the value of `model` in the outermost object, and in an event
 * stream also that of `response.model`, where it is the name to replace. Every other byte stays.
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
  #json = outside;
  #line: number;
  /** Bytes of the field name seen in this line, and whether the line has any byte. */
  #lineBytes = 0;
  /** Objects whose members matter that are open: the outermost, and `response` in it. */
  #depth = 0;
  /** Containers open within one that does not matter. */
  #otherDepth = 0;
  #escape = false;
  readonly #key = new Uint8Array(longestKey);
  #keyLength = 0;
  #keyIsModel = false;
  #keyIsResponse = false;
  /** The name as far as it has come, quotes included. */
  readonly #name: Uint8Array;
  #nameLength = 0;
  /** How much of the name came in earlier chunks. */
  #heldLength = 0;

  constructor(from: string, to: string, streaming: boolean) {
    this.#from = from;
    this.#fromBytes = Buffer.from(from);
    this.#replacement = Buffer.from(JSON.stringify(to));
    this.#streaming = streaming;
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
    for (let i = 0; i < bytes.length; i++) {
      const byte = bytes[i]!;
      if (this.#streaming) {
        if (byte === 0x0a) {
          if (this.#json === inName) this.#giveUp(parts, afterValue);
          this.#endLine();
          continue;
        }
        if (this.#line !== inData) {
          this.#readField(byte);
          continue;
        }
      }
      if (this.#json !== inName) {
        this.#step(byte);
        if (this.#json !== inName) continue;
        nameStart = i;
        this.#nameLength = 0;
      } else if (this.#nameLength === this.#name.length) {
        this.#giveUp(parts, inString);
        this.#step(byte);
        continue;
      }
      this.#name[this.#nameLength++] = byte;
      if (this.#escape) this.#escape = false;
      else if (byte === 0x5c) this.#escape = true;
      else if (byte === 0x22 && this.#nameLength > 1) {
        if (this.#isFrom()) {
          if (nameStart > from) parts.push(bytes.subarray(from, nameStart));
          parts.push(this.#replacement);
          from = i + 1;
          this.#heldLength = 0;
          this.#json = afterValue;
        } else this.#giveUp(parts, afterValue);
      }
    }
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

  #isFrom(): boolean {
    const text = this.#name.subarray(1, this.#nameLength - 1);
    if (!text.includes(0x5c)) return this.#fromBytes.equals(text);
    return decoded(text) === this.#from;
  }

  #endLine(): void {
    // A line end in a string is no JSON: the string is over. An empty line ends the event.
    if (this.#lineBytes === 0) this.#reset();
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

  #readField(byte: number): void {
    if (byte === 0x0d && this.#lineBytes === 0) return;
    if (this.#line === lineStart && byte === dataField[this.#lineBytes]) {
      if (this.#lineBytes === dataField.length - 1) this.#line = inData;
    } else this.#line = inOtherLine;
    this.#lineBytes++;
  }

  #step(byte: number): void {
    switch (this.#json) {
      case inOtherString:
      case inString:
        if (this.#escape) this.#escape = false;
        else if (byte === 0x5c) this.#escape = true;
        else if (byte === 0x22) this.#json = this.#json === inString ? afterValue : inOther;
        return;
      case inOther:
        if (byte === 0x22) this.#json = inOtherString;
        else if (byte === 0x7b || byte === 0x5b) this.#otherDepth++;
        else if (byte === 0x7d || byte === 0x5d) {
          this.#otherDepth--;
          if (this.#otherDepth === 0) this.#json = this.#depth === 0 ? outside : afterValue;
        }
        return;
      case inKey:
        this.#readKey(byte);
        return;
      case outside:
        if (byte === 0x7b) {
          this.#depth = 1;
          this.#json = beforeKey;
        } else if (byte === 0x5b) this.#openOther();
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
        if (byte === 0x22) this.#json = this.#keyIsModel ? inName : inString;
        else if (byte === 0x7b && this.#keyIsResponse) {
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

  #openOther(): void {
    this.#otherDepth = 1;
    this.#json = inOther;
  }

  #close(): void {
    this.#depth--;
    this.#json = this.#depth === 0 ? outside : afterValue;
  }

  #readKey(byte: number): void {
    if (byte !== 0x22 || this.#escape) {
      this.#escape = !this.#escape && byte === 0x5c;
      // A longer key is none of those looked for.
      if (this.#keyLength < longestKey) this.#key[this.#keyLength] = byte;
      if (this.#keyLength <= longestKey) this.#keyLength++;
      return;
    }
    this.#json = afterKey;
    this.#keyIsModel = this.#keyIs("model");
    this.#keyIsResponse = this.#streaming && this.#depth === 1 && this.#keyIs("response");
  }

  #keyIs(key: string): boolean {
    const length = this.#keyLength;
    if (length > longestKey || length < key.length) return false;
    for (let i = 0; i < key.length; i++) {
      const byte = this.#key[i];
      if (byte === 0x5c) return decoded(this.#key.subarray(0, length)) === key;
      if (byte !== key.charCodeAt(i)) return false;
    }
    return length === key.length;
  }
}

/** Decodes the inside of a JSON string. Missing values: undefined when it is none. */
function decoded(bytes: Uint8Array): string | undefined {
  try {
    return String(JSON.parse(`"${Buffer.from(bytes).toString()}"`));
  } catch {
    return undefined;
  }
}
