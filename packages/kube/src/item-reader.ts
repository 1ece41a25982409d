const quote = 0x22;
const backslash = 0x5c;
const openBrace = 0x7b;
const closeBrace = 0x7d;
const openBracket = 0x5b;
const closeBracket = 0x5d;
const itemsKey = '"items"';

/** Bytes of a list outside of its items: kind, version, resource version. */
const maxEnvelopeBytes = 64 * 1024;

export interface ItemReaderOptions {
  /** An item beyond this ends the reading; the API server refuses objects of more than about 1.5 MiB. */
  readonly maxItemBytes: number;
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

  constructor(options: ItemReaderOptions) {
    this.#options = options;
  }

  /** Takes the next bytes. Throws when they are no list, or one beyond the limits. */
  push(chunk: Buffer): void {
    // Where the piece that is being collected (item or envelope) starts in this chunk.
    let start = 0;
    let depth = this.#depth;
    let inString = this.#inString;
    for (let i = 0; i < chunk.length; i++) {
      const byte = chunk[i]!;
      if (inString) {
        if (this.#escaped) this.#escaped = false;
        else if (byte === backslash) this.#escaped = true;
        else if (byte === quote) inString = false;
        continue;
      }
      switch (byte) {
        case quote:
          inString = true;
          break;
        case openBrace:
          if (this.#inItems && depth === 2) start = i;
          depth++;
          this.#started = true;
          break;
        case openBracket:
          if (depth === 0) throw new Error("the answer is no list of objects");
          depth++;
          if (depth === 2 && !this.#inItems && this.#endsWithItems(chunk, start, i)) {
            this.#take(chunk, start, i + 1);
            this.#envelope += this.#text();
            this.#inItems = true;
            start = i + 1;
          }
          break;
        case closeBrace:
          depth--;
          if (depth < 0) throw new Error("the answer is no JSON");
          if (this.#inItems && depth === 2) {
            this.#take(chunk, start, i + 1);
            this.#options.onItem(this.#text());
            start = i + 1;
          }
          break;
        case closeBracket:
          depth--;
          if (depth < 1) throw new Error("the answer is no JSON");
          if (this.#inItems && depth === 1) {
            this.#inItems = false;
            this.#dropParts();
            start = i;
          }
          break;
        default:
          break;
      }
    }
    this.#depth = depth;
    this.#inString = inString;
    // Between two items there is nothing to keep.
    if (!(this.#inItems && depth === 2)) this.#take(chunk, start, chunk.length);
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
