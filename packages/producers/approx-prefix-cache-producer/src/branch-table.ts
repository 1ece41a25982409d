import { highWord, lowWord, pageShift, parentWord, recordAt } from "./block-record.ts";

/** Buckets stand in pages of this many, as a power of two; also the buckets of an empty table. */
const bucketShift = 12;
const bucketMask = (1 << bucketShift) - 1;
const entryShift = 12;
const entryMask = (1 << entryShift) - 1;

/**
 * Blocks by parent and hash, for those that are not the one child their parent's record names.
 *
 * A hash table with chains that grows by one bucket at a time (linear hashing), so that it is never hashed anew as a
 * whole. Memory: 8 bytes per entry, 4 per bucket.
 */
export class BranchTable {
  /** Pages with the records of all blocks. */
  readonly #records: readonly Uint32Array[];
  readonly #seed: number;
  /** First entry of each bucket. */
  readonly #buckets: Uint32Array[] = [new Uint32Array(1 << bucketShift)];
  /** Two words per entry: the block, and the next entry of its bucket or the next free one. */
  readonly #entries: Uint32Array[] = [new Uint32Array(2 << entryShift)];
  #used = 1;
  #free = 0;
  #size = 0;
  /** Buckets at the start of this round of growth, less one; a power of two less one. */
  #roundMask: number = bucketMask;
  /** Buckets of this round that have been split. */
  #split = 0;

  /** `seed` makes the places of hashes differ between processes, so that nobody outside can fill one bucket on purpose. */
  constructor(records: readonly Uint32Array[], seed: number) {
    this.#records = records;
    this.#seed = seed | 0;
  }

  /** Bytes of entries and buckets, used or not. */
  get memoryBytes(): number {
    return (this.#buckets.length << (bucketShift + 2)) + (this.#entries.length << (entryShift + 3));
  }

  /** The block with this parent and hash, 0 when there is none. */
  find(parent: number, low: number, high: number): number {
    const bucket = this.#bucketOf(low, high);
    let entry = this.#buckets[bucket >>> bucketShift]![bucket & bucketMask]!;
    while (entry !== 0) {
      const entries = this.#entries[entry >>> entryShift]!;
      const at = (entry & entryMask) * 2;
      const block = entries[at]!;
      const page = this.#records[block >>> pageShift]!;
      const record = recordAt(block);
      if (page[record + lowWord] === low && page[record + highWord] === high && page[record + parentWord] === parent) {
        return block;
      }
      entry = entries[at + 1]!;
    }
    return 0;
  }

  /** Adds a block that is not in the table. Its record is complete. */
  add(block: number): void {
    if (this.#size > this.#roundMask + this.#split) this.#splitBucket();
    let entry = this.#free;
    if (entry === 0) {
      entry = this.#used++;
      if (entry >>> entryShift === this.#entries.length) this.#entries.push(new Uint32Array(2 << entryShift));
    } else {
      this.#free = this.#entries[entry >>> entryShift]![(entry & entryMask) * 2 + 1]!;
    }
    const bucket = this.#bucketOfBlock(block);
    const heads = this.#buckets[bucket >>> bucketShift]!;
    this.#entries[entry >>> entryShift]![(entry & entryMask) * 2] = block;
    this.#setNext(entry, heads[bucket & bucketMask]!);
    heads[bucket & bucketMask] = entry;
    this.#size++;
  }

  /** Removes a block that is in the table. Its record is complete. */
  delete(block: number): void {
    const bucket = this.#bucketOfBlock(block);
    const heads = this.#buckets[bucket >>> bucketShift]!;
    let before = 0;
    let entry = heads[bucket & bucketMask]!;
    while (this.#entries[entry >>> entryShift]![(entry & entryMask) * 2] !== block) {
      before = entry;
      entry = this.#next(entry);
    }
    if (before === 0) heads[bucket & bucketMask] = this.#next(entry);
    else this.#setNext(before, this.#next(entry));
    this.#setNext(entry, this.#free);
    this.#free = entry;
    this.#size--;
  }

  #next(entry: number): number {
    return this.#entries[entry >>> entryShift]![(entry & entryMask) * 2 + 1]!;
  }

  #setNext(entry: number, next: number): void {
    this.#entries[entry >>> entryShift]![(entry & entryMask) * 2 + 1] = next;
  }

  #bucketOf(low: number, high: number): number {
    const mixed = this.#mix(low, high);
    const bucket = mixed & (this.#roundMask * 2 + 1);
    return bucket <= this.#roundMask + this.#split ? bucket : bucket & this.#roundMask;
  }

  #bucketOfBlock(block: number): number {
    const page = this.#records[block >>> pageShift]!;
    const record = recordAt(block);
    return this.#bucketOf(page[record + lowWord]!, page[record + highWord]!);
  }

  #mix(low: number, high: number): number {
    let mixed = Math.imul(low ^ this.#seed, 0x9e3779b1);
    mixed = Math.imul(mixed ^ (mixed >>> 15) ^ high, 0x85ebca77);
    mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae3d);
    return mixed ^ (mixed >>> 16);
  }

  /** Adds a bucket and moves to it what belongs there. */
  #splitBucket(): void {
    const from = this.#split;
    const to = this.#roundMask + 1 + from;
    if (to >>> bucketShift === this.#buckets.length) this.#buckets.push(new Uint32Array(1 << bucketShift));
    this.#split++;
    let entry = this.#buckets[from >>> bucketShift]![from & bucketMask]!;
    this.#buckets[from >>> bucketShift]![from & bucketMask] = 0;
    while (entry !== 0) {
      const next = this.#next(entry);
      const bucket = this.#bucketOfBlock(this.#entries[entry >>> entryShift]![(entry & entryMask) * 2]!);
      const heads = this.#buckets[bucket >>> bucketShift]!;
      this.#setNext(entry, heads[bucket & bucketMask]!);
      heads[bucket & bucketMask] = entry;
      entry = next;
    }
    if (this.#split > this.#roundMask) {
      this.#roundMask = this.#roundMask * 2 + 1;
      this.#split = 0;
    }
  }
}
