import { staticTable } from "../../../packages/grpc-transport/src/hpack-static-table.ts";
import { readHuffmanPlainly } from "./plain-huffman.ts";

/** What is wrong with a block. */
export class BadBlock extends Error {}

/** Continuation bytes of an integer; more are refused, whatever their value. */
const maxContinuations = 4;

export interface PlainField {
  readonly name: string;
  readonly value: string;
}

/** Reads header blocks in the plainest way: a list as table, numbers and strings cut off the front. Source: RFC 7541. */
export class PlainHpack {
  readonly #maxTableBytes: number;
  #limit: number;
  /** Newest first. */
  #table: PlainField[] = [];
  #bytes: number[] = [];

  constructor(maxTableBytes: number) {
    this.#maxTableBytes = maxTableBytes;
    this.#limit = maxTableBytes;
  }

  get tableBytes(): number {
    return sizeOf(this.#table);
  }

  /** Throws {@link BadBlock} after the fields before the fault were handed over. */
  read(block: Uint8Array, take: (field: PlainField) => void): void {
    this.#bytes = [...block];
    let begun = false;
    while (this.#bytes.length > 0) {
      const byte = this.#bytes[0]!;
      if (byte >= 0x80) take(this.#entry(this.#number(7)));
      else if ((byte & 0xe0) === 0x20) {
        if (begun) throw new BadBlock("table size after a field");
        const size = this.#number(5);
        if (size > this.#maxTableBytes) throw new BadBlock("table size");
        this.#limit = size;
        this.#evict();
        continue;
      } else {
        const kept = (byte & 0x40) !== 0;
        const index = this.#number(kept ? 6 : 4);
        const name = index === 0 ? this.#text() : this.#entry(index).name;
        const field = { name, value: this.#text() };
        take(field);
        if (kept) {
          this.#table.unshift(field);
          this.#evict();
        }
      }
      begun = true;
    }
  }

  #evict(): void {
    while (sizeOf(this.#table) > this.#limit) this.#table.pop();
  }

  #entry(index: number): PlainField {
    const fixed = staticTable[index - 1];
    if (fixed !== undefined) return { name: fixed[0], value: fixed[1] };
    const entry = index === 0 ? undefined : this.#table[index - staticTable.length - 1];
    if (entry === undefined) throw new BadBlock("index");
    return entry;
  }

  #number(bits: number): number {
    const most = 2 ** bits - 1;
    const first = this.#byte() & most;
    if (first < most) return first;
    let value = most;
    for (let at = 0; at < maxContinuations; at++) {
      const byte = this.#byte();
      value += (byte & 0x7f) * 128 ** at;
      if (byte < 0x80) return value;
    }
    throw new BadBlock("number");
  }

  #text(): string {
    if (this.#bytes.length === 0) throw new BadBlock("cut short");
    const huffman = this.#bytes[0]! >= 0x80;
    const length = this.#number(7);
    if (length > this.#bytes.length) throw new BadBlock("cut short");
    const raw = Buffer.from(this.#bytes.splice(0, length));
    const bytes = huffman ? readHuffmanPlainly(raw) : raw;
    if (bytes === undefined) throw new BadBlock("Huffman");
    return bytes.toString("latin1");
  }

  #byte(): number {
    const byte = this.#bytes.shift();
    if (byte === undefined) throw new BadBlock("cut short");
    return byte;
  }
}

function sizeOf(table: readonly PlainField[]): number {
  return table.reduce((sum, { name, value }) => sum + name.length + value.length + 32, 0);
}
