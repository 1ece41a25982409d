import { staticTable } from "./hpack-static-table.ts";
import { decodeHuffman } from "./huffman.ts";

/** Takes the fields of a header list, in order. */
export interface HeaderFieldSink {
  /** `wellFormed` is false when name or value contain bytes that HTTP/2 forbids. */
  field(name: string, value: string, wellFormed: boolean): void;
}

/** What an entry costs beside its bytes. Source: RFC 7541 section 4.1. */
const entryOverheadBytes = 32;
/** A list this many times over its limit is an attack on memory, not a large request. */
const bombFactor = 16;
const maxInteger = 0x0fffffff;

/** 1: may stand in a field name (token characters without upper case). Source: RFC 9113 section 8.2.1. */
const nameBytes: Uint8Array = new Uint8Array(256);
for (const char of "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz") nameBytes[char.charCodeAt(0)] = 1;

let scratch: Buffer = Buffer.allocUnsafeSlow(4096);

/**
 * Decodes the header blocks of one connection. A problem is a text; after one the table is unusable and the connection has
 * to end. Source: RFC 7541.
 */
export class HpackDecoder {
  readonly #maxTableBytes: number;
  readonly #maxListBytes: number;
  /** A ring, newest entry at `#newest`. */
  readonly #names: string[];
  readonly #values: string[];
  readonly #wellFormed: boolean[];
  readonly #mask: number;
  #newest = 0;
  #count = 0;
  #tableBytes = 0;
  #tableLimit: number;
  #bytes: Buffer = scratch;
  #at = 0;
  #end = 0;
  #problem = "";
  /** Whether the string that was read last has allowed bytes only. */
  #clean = true;
  /** The list of the last block went over the limit; its further fields were not handed over. */
  tooLarge = false;

  /** `maxTableBytes` is what our SETTINGS allow the peer; `maxListBytes` limits names, values and 32 bytes a field. */
  constructor(maxTableBytes: number, maxListBytes: number) {
    this.#maxTableBytes = maxTableBytes;
    this.#tableLimit = maxTableBytes;
    this.#maxListBytes = maxListBytes;
    let slots = 1;
    while (slots < maxTableBytes / entryOverheadBytes + 1) slots *= 2;
    this.#mask = slots - 1;
    this.#names = new Array<string>(slots).fill("");
    this.#values = new Array<string>(slots).fill("");
    this.#wellFormed = new Array<boolean>(slots).fill(true);
  }

  /** Bytes that the dynamic table holds by the RFC's count. */
  get tableBytes(): number {
    return this.#tableBytes;
  }

  /** Decodes one whole block, `bytes[start..end)`. Gives the problem, or undefined. */
  decode(bytes: Buffer, start: number, end: number, sink: HeaderFieldSink): string | undefined {
    this.#bytes = bytes;
    this.#at = start;
    this.#end = end;
    this.#problem = "";
    this.tooLarge = false;
    let listBytes = 0;
    let first = true;
    while (this.#at < end) {
      const byte = bytes[this.#at]!;
      let name: string;
      let value: string;
      let wellFormed: boolean;
      if (byte >= 0x80) {
        const index = this.#integer(7);
        const slot = this.#entry(index);
        if (slot < -1) return this.#problem;
        if (slot === -1) {
          name = staticTable[index - 1]![0];
          value = staticTable[index - 1]![1];
          wellFormed = true;
        } else {
          name = this.#names[slot]!;
          value = this.#values[slot]!;
          wellFormed = this.#wellFormed[slot]!;
        }
      } else if ((byte & 0xe0) === 0x20) {
        if (!first) return "table size update after a field";
        const size = this.#integer(5);
        if (size < 0) return this.#problem;
        if (size > this.#maxTableBytes) return "table size update above the allowed size";
        this.#tableLimit = size;
        this.#evict(size);
        continue;
      } else {
        const indexed = (byte & 0x40) !== 0;
        const nameIndex = this.#integer(indexed ? 6 : 4);
        if (nameIndex < 0) return this.#problem;
        wellFormed = true;
        if (nameIndex === 0) {
          name = this.#string(true);
          wellFormed = this.#clean;
        } else {
          const slot = this.#entry(nameIndex);
          if (slot < -1) return this.#problem;
          name = slot === -1 ? staticTable[nameIndex - 1]![0] : this.#names[slot]!;
          // The entry's flag covers its value too; its name decides here.
          if (slot !== -1 && !this.#wellFormed[slot]!) wellFormed = isFieldName(name);
        }
        if (this.#problem !== "") return this.#problem;
        value = this.#string(false);
        if (this.#problem !== "") return this.#problem;
        wellFormed &&= this.#clean;
        if (indexed) this.#insert(name, value, wellFormed);
      }
      first = false;
      listBytes += name.length + value.length + entryOverheadBytes;
      if (listBytes <= this.#maxListBytes) sink.field(name, value, wellFormed);
      else {
        this.tooLarge = true;
        if (listBytes > this.#maxListBytes * bombFactor) return "header list far above the limit";
      }
    }
    return undefined;
  }

  /** The ring slot of an index; -1 for the static table; -2 when there is no such entry. */
  #entry(index: number): number {
    if (index < 0) return -2;
    if (index === 0) {
      this.#problem = "index 0";
      return -2;
    }
    if (index <= staticTable.length) return -1;
    const age = index - staticTable.length - 1;
    if (age >= this.#count) {
      this.#problem = "index beyond the table";
      return -2;
    }
    return (this.#newest - age) & this.#mask;
  }

  #insert(name: string, value: string, wellFormed: boolean): void {
    const entryBytes = name.length + value.length + entryOverheadBytes;
    if (entryBytes > this.#tableLimit) {
      this.#evict(0);
      return;
    }
    this.#evict(this.#tableLimit - entryBytes);
    this.#newest = (this.#newest + 1) & this.#mask;
    this.#names[this.#newest] = name;
    this.#values[this.#newest] = value;
    this.#wellFormed[this.#newest] = wellFormed;
    this.#count++;
    this.#tableBytes += entryBytes;
  }

  /** Drops oldest entries until at most `limitBytes` are left. */
  #evict(limitBytes: number): void {
    while (this.#tableBytes > limitBytes) {
      const slot = (this.#newest - this.#count + 1) & this.#mask;
      this.#tableBytes -= this.#names[slot]!.length + this.#values[slot]!.length + entryOverheadBytes;
      this.#names[slot] = "";
      this.#values[slot] = "";
      this.#count--;
    }
  }

  /** An integer with a prefix of `bits`; -1 when it is cut short or too large. Source: RFC 7541 section 5.1. */
  #integer(bits: number): number {
    const most = (1 << bits) - 1;
    let value = this.#bytes[this.#at++]! & most;
    if (value < most) return value;
    for (let shift = 0; shift <= 21; shift += 7) {
      if (this.#at >= this.#end) {
        this.#problem = "integer cut short";
        return -1;
      }
      const byte = this.#bytes[this.#at++]!;
      value += (byte & 0x7f) << shift;
      if (byte < 0x80) {
        if (value <= maxInteger) return value;
        break;
      }
    }
    this.#problem = "integer too large";
    return -1;
  }

  #string(isName: boolean): string {
    this.#clean = true;
    if (this.#at >= this.#end) {
      this.#problem = "string cut short";
      return "";
    }
    const huffman = this.#bytes[this.#at]! >= 0x80;
    const length = this.#integer(7);
    if (length < 0) return "";
    const from = this.#at;
    const to = from + length;
    if (to > this.#end) {
      this.#problem = "string cut short";
      return "";
    }
    this.#at = to;
    if (!huffman) {
      this.#clean = isName ? cleanName(this.#bytes, from, to) : cleanValue(this.#bytes, from, to);
      return this.#bytes.toString("latin1", from, to);
    }
    if (scratch.length < length * 2) scratch = Buffer.allocUnsafeSlow(length * 2);
    const written = decodeHuffman(this.#bytes, from, to, scratch);
    if (written < 0) {
      this.#problem = "invalid Huffman code";
      return "";
    }
    this.#clean = isName ? cleanName(scratch, 0, written) : cleanValue(scratch, 0, written);
    return scratch.toString("latin1", 0, written);
  }
}

function isFieldName(name: string): boolean {
  const bytes = Buffer.from(name, "latin1");
  return cleanName(bytes, 0, bytes.length);
}

function cleanName(bytes: Uint8Array, start: number, end: number): boolean {
  let at = start;
  // A colon starts the names of pseudo-header fields.
  if (at < end && bytes[at] === 0x3a) at++;
  if (at === end) return false;
  for (; at < end; at++) if (nameBytes[bytes[at]!] === 0) return false;
  return true;
}

function cleanValue(bytes: Uint8Array, start: number, end: number): boolean {
  if (start === end) return true;
  const first = bytes[start]!;
  const last = bytes[end - 1]!;
  if (first === 0x20 || first === 0x09 || last === 0x20 || last === 0x09) return false;
  for (let at = start; at < end; at++) {
    const byte = bytes[at]!;
    if (byte === 0 || byte === 0x0a || byte === 0x0d) return false;
  }
  return true;
}
