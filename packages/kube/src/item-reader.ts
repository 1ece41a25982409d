const quote = 0x22;
const backslash = 0x5c;
const openBrace = 0x7b;
const closeBrace = 0x7d;
const openBracket = 0x5b;
const closeBracket = 0x5d;
const itemsKey = '"items"';
const nothing = Buffer.from("null");

/** Bytes of a list outside of its items: kind, version, resource version. */
const maxEnvelopeBytes = 64 * 1024;

export interface ItemReaderOptions {
  /** An item beyond this ends the reading; the API server refuses objects of more than about 1.5 MiB. */
  readonly maxItemBytes: number;
  /** Members of items, and of their members, that nobody reads: most come out as null, which saves parsing them. */
  readonly skip?: readonly string[];
  /** Called with the JSON text of each item, in order. */
  onItem(json: string): void;
}

/**
 * Cuts a list of the Kubernetes API into its items while its bytes come in, so that no more than one item is held and
 * no parse takes longer than one item needs. It checks the structure that it cuts by, not the JSON: items are for
 * `JSON.parse`.
 */
export class ItemReader {
  readonly #options: ItemReaderOptions;
  /** What stands outside of the items. */
  #envelope = "";
  /** Parts of an item, or of the envelope, from earlier chunks. */
  #parts: Buffer[] = [];
  #partBytes = 0;
  #depth = 0;
  #inItems = false;
  #inString = false;
  #escaped = false;
  #started = false;
  /** Depth at which a value that is left out began; -1 outside of one. */
  #skipDepth = -1;

  constructor(options: ItemReaderOptions) {
    this.#options = options;
  }

  /** Takes the next bytes. Throws when they are no list, or one beyond the limits. */
  push(chunk: Buffer): void {
    const length = chunk.length;
    // Where the piece that is being collected (item or envelope) starts in this chunk.
    let start = 0;
    let depth = this.#depth;
    let inItems = this.#inItems;
    // The last text of this chunk that is whole: a key, when a brace follows it.
    let [textStart, textEnd] = [0, 0];
    let i = this.#inString ? this.#stringEnd(chunk, 0) : 0;
    for (; i < length; i++) {
      const byte = chunk[i]!;
      if (byte === quote) {
        textStart = i + 1;
        i = this.#stringEnd(chunk, textStart) - 1;
        textEnd = this.#inString ? 0 : i;
        continue;
      }
      // All brackets and braces, and few other characters, have these bits.
      if ((byte & 0x59) !== 0x59) continue;
      if (byte === openBrace) {
        if (inItems && depth === 2) start = i;
        else if (inItems && this.#skips(chunk, textStart, textEnd, depth)) this.#leaveOut(chunk, start, i, depth);
        depth++;
        this.#started = true;
      } else if (byte === closeBrace) {
        depth--;
        if (depth < 0) throw new Error("the answer is no JSON");
        if (depth === this.#skipDepth) {
          this.#skipDepth = -1;
          start = i + 1;
        } else if (inItems && depth === 2) {
          this.#take(chunk, start, i + 1);
          this.#options.onItem(this.#text());
          start = i + 1;
        }
      } else if (byte === openBracket) {
        if (depth === 0) throw new Error("the answer is no list of objects");
        if (inItems && this.#skips(chunk, textStart, textEnd, depth)) this.#leaveOut(chunk, start, i, depth);
        depth++;
        if (depth === 2 && !inItems && this.#endsWithItems(chunk, start, i)) {
          this.#take(chunk, start, i + 1);
          this.#envelope += this.#text();
          inItems = true;
          this.#inItems = true;
          start = i + 1;
        }
      } else if (byte === closeBracket) {
        depth--;
        if (depth < 1) throw new Error("the answer is no JSON");
        if (depth === this.#skipDepth) {
          this.#skipDepth = -1;
          start = i + 1;
        } else if (inItems && depth === 1) {
          inItems = false;
          this.#inItems = false;
          this.#dropParts();
          start = i;
        }
      }
    }
    this.#depth = depth;
    // Between two items there is nothing to keep.
    if (!(inItems && depth === 2) && this.#skipDepth === -1) this.#take(chunk, start, length);
  }

  /** Whether the value that begins is one that nobody reads. A key that two chunks share is not recognised. */
  #skips(chunk: Buffer, textStart: number, textEnd: number, depth: number): boolean {
    if ((depth !== 3 && depth !== 4) || this.#skipDepth !== -1 || textEnd <= textStart) return false;
    const { skip } = this.#options;
    return skip?.includes(chunk.toString("latin1", textStart, textEnd)) === true;
  }

  #leaveOut(chunk: Buffer, start: number, end: number, depth: number): void {
    this.#take(chunk, start, end);
    this.#take(nothing, 0, nothing.length);
    this.#skipDepth = depth;
  }

  /** Position behind a string's closing quote; the end of the chunk where the string goes on. */
  #stringEnd(chunk: Buffer, from: number): number {
    const length = chunk.length;
    let i = from;
    if (this.#escaped && i < length) {
      this.#escaped = false;
      i++;
    }
    for (; i < length; i++) {
      const byte = chunk[i]!;
      if (byte === quote) {
        this.#inString = false;
        return i + 1;
      }
      if (byte === backslash) {
        i++;
        if (i === length) this.#escaped = true;
      }
    }
    this.#inString = true;
    return length;
  }

  /** Ends the list and returns what stands outside of the items. Throws when the list is not complete. */
  end(): unknown {
    if (this.#depth !== 0 || !this.#started) throw new Error("the answer ends in the middle of the list");
    return JSON.parse(this.#envelope + this.#text());
  }

  /** Whether the last token before a bracket is the name of the items. */
  #endsWithItems(chunk: Buffer, start: number, end: number): boolean {
    const before = chunk.subarray(Math.max(start, end - 32), end).toString("latin1");
    const earlier = before.length < 32 ? this.#parts.map((part) => part.toString("latin1")).join("") : "";
    return (earlier + before).replace(/[\s:]+$/, "").endsWith(itemsKey);
  }

  #take(chunk: Buffer, start: number, end: number): void {
    if (end <= start) return;
    this.#partBytes += end - start;
    const limit = this.#inItems ? this.#options.maxItemBytes : maxEnvelopeBytes;
    if (this.#partBytes > limit) {
      throw new Error(`the answer has ${this.#inItems ? "an object" : "a head"} of more than ${limit} bytes`);
    }
    this.#parts.push(chunk.subarray(start, end));
  }

  #text(): string {
    const only = this.#parts.length === 1 ? this.#parts[0]! : Buffer.concat(this.#parts, this.#partBytes);
    const text = only.toString("utf8");
    this.#dropParts();
    return text;
  }

  #dropParts(): void {
    this.#parts = [];
    this.#partBytes = 0;
  }
}
