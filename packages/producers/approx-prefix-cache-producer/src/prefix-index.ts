import { highWord, lowWord, recordAt } from "./block-record.ts";
import { BlockTrie } from "./block-trie.ts";
import { HolderLists, maxEndpointNumber } from "./holder-lists.ts";
import { blockWord, nodeAt, olderWord, RecencyList } from "./recency-list.ts";

/** Blocks one endpoint may hold at most, whatever it is said to hold. */
export const maxBlocksPerEndpoint = 4_194_304;

/**
 * Which endpoint holds which prompt blocks, as far as decisions tell.
 *
 * Each endpoint has an exact least-recently-used list. `insert` makes a prompt's blocks the newest, the first block
 * newest of all, as an engine gives up the end of a sequence before its start. So an endpoint that holds a block holds
 * every block before it, and whoever holds a block is among those who hold the block before: `match` walks along a
 * prompt, and looks at who holds a block only where their number falls.
 *
 * Hashes are pairs of 32-bit words, low half first; a prompt is a range of blocks in an array of such pairs.
 */
export class PrefixIndex {
  readonly #trie: BlockTrie;
  readonly #holders: HolderLists = new HolderLists();
  readonly #numbers: Map<string, number> = new Map();
  /** By endpoint number. */
  readonly #lists: (RecencyList | undefined)[] = [];
  /** By endpoint number: where `match` writes; -1 for one that is gone. */
  #slots: Int32Array = new Int32Array(16);
  readonly #freeNumbers: number[] = [];
  /** Numbers of endpoints that are gone and whose blocks are still to be given back. */
  readonly #gone: number[] = [];
  #entries = 0;

  /** `seed`: see `BranchTable`. */
  constructor(seed: number) {
    this.#trie = new BlockTrie(seed);
  }

  /** Pairs of a block and an endpoint that holds it. */
  get entries(): number {
    return this.#entries;
  }

  /** Bytes of all tables and lists, used or not. */
  get memoryBytes(): number {
    let bytes = this.#trie.memoryBytes + this.#holders.memoryBytes + this.#slots.byteLength;
    for (const list of this.#lists) bytes += list?.words.byteLength ?? 0;
    return bytes;
  }

  /** Endpoints in the index. */
  get endpoints(): number {
    return this.#numbers.size;
  }

  /** Ids of the endpoints in the index, in the order they were added. */
  endpointIds(): IterableIterator<string> {
    return this.#numbers.keys();
  }

  /** Blocks an endpoint holds; 0 for one that is not in the index. */
  blocksOf(id: string): number {
    return this.#listOf(id)?.size ?? 0;
  }

  /**
   * Adds an endpoint, or changes its slot and capacity; a smaller capacity drops its oldest blocks.
   * `capacityBlocks` is moved into 1 to {@link maxBlocksPerEndpoint}. Of more than 65,535 endpoints, the last ones are
   * not followed.
   */
  setEndpoint(id: string, slot: number, capacityBlocks: number): void {
    const capacity = Math.max(1, Math.min(Math.floor(capacityBlocks), maxBlocksPerEndpoint));
    let number = this.#numbers.get(id);
    if (number === undefined) {
      number = this.#freeNumbers.pop() ?? this.#lists.length;
      if (number > maxEndpointNumber) return;
      this.#numbers.set(id, number);
      this.#lists[number] = new RecencyList(capacity);
      if (number >= this.#slots.length) {
        const grown = new Int32Array(this.#slots.length * 2);
        grown.set(this.#slots);
        this.#slots = grown;
      }
    }
    this.#slots[number] = slot;
    const list = this.#lists[number]!;
    list.capacity = capacity;
    const excess = list.size - capacity;
    if (excess > 0) {
      this.#evict(number, list, excess);
      this.#entries -= excess;
    }
  }

  /** Forgets an endpoint: it matches no more. Its memory comes back through {@link reclaim}. O(1). */
  removeEndpoint(id: string): void {
    const number = this.#numbers.get(id);
    if (number === undefined) return;
    this.#entries -= this.#lists[number]!.size;
    this.#slots[number] = -1;
    this.#numbers.delete(id);
    this.#gone.push(number);
  }

  /**
   * Gives back the memory of at most `blocks` blocks that removed endpoints held.
   * Returns whether there is more to do. Cost: O(blocks).
   */
  reclaim(blocks: number): boolean {
    let left = blocks;
    while (this.#gone.length > 0 && left > 0) {
      const number = this.#gone[this.#gone.length - 1]!;
      const list = this.#lists[number]!;
      const count = Math.min(left, list.size);
      this.#evict(number, list, count);
      left -= count;
      if (list.size === 0) {
        this.#lists[number] = undefined;
        this.#gone.pop();
        this.#freeNumbers.push(number);
      }
    }
    return this.#gone.length > 0;
  }

  /**
   * Notes that an endpoint holds the blocks `start` to `end` of `hashes`, in this order one prompt.
   *
   * They become its newest blocks, the first one newest of all. Of a prompt longer than the endpoint's capacity, the
   * first blocks count. Unknown ids are ignored. Cost: O(end - start).
   */
  insert(id: string, hashes: Uint32Array, start: number, end: number): void {
    const number = this.#numbers.get(id);
    if (number === undefined) return;
    const trie = this.#trie;
    const list = this.#lists[number]!;
    const stop = Math.min(end, start + list.capacity);
    let at = start;
    let parent = 0;
    let block = at < stop ? trie.child(0, hashes[at * 2]!, hashes[at * 2 + 1]!) : 0;
    let placed = 0;
    // What the endpoint holds already is the start of the prompt. It stands in stretches of its list, each moved as a whole.
    while (block !== 0) {
      let first = list.words[nodeAt(placed) + olderWord]!;
      if (first === 0 || list.words[nodeAt(first) + blockWord] !== block) {
        first = this.#holders.nodeOf(trie.page(block), recordAt(block), number);
        if (first === 0) break;
      }
      let last = first;
      for (;;) {
        parent = block;
        at++;
        block = at < stop ? trie.child(parent, hashes[at * 2]!, hashes[at * 2 + 1]!) : 0;
        const older = list.words[nodeAt(last) + olderWord]!;
        if (block === 0 || older === 0 || list.words[nodeAt(older) + blockWord] !== block) break;
        last = older;
      }
      if (list.words[nodeAt(placed) + olderWord] !== first) {
        list.unlink(first, last);
        list.link(first, last, placed);
      }
      placed = last;
    }
    // The rest is new to the endpoint, and from the first block that nobody holds new to all.
    const excess = list.size + stop - at - list.capacity;
    this.#evict(number, list, excess);
    this.#entries += stop - at - Math.max(0, excess);
    while (at < stop) {
      const known = block !== 0;
      if (!known) block = trie.create(parent, hashes[at * 2]!, hashes[at * 2 + 1]!);
      placed = list.insert(block, placed);
      this.#holders.add(trie.page(block), recordAt(block), number, placed);
      parent = block;
      at++;
      block = known && at < stop ? trie.child(parent, hashes[at * 2]!, hashes[at * 2 + 1]!) : 0;
    }
  }

  /**
   * Adds to `out[slot]`, for each endpoint, how many blocks from `start` on it holds without a gap, up to `end`.
   * Endpoints whose slot lies outside of `out` are left out. Cost: O(blocks somebody holds), forwards through memory, and
   * the holders at each place where some fall away.
   */
  match(hashes: Uint32Array, start: number, end: number, out: Int32Array): void {
    const trie = this.#trie;
    const holders = this.#holders;
    let at = start;
    let last = 0;
    let lastCount = 0;
    let credited = 0;
    while (at < end) {
      const block = trie.child(last, hashes[at * 2]!, hashes[at * 2 + 1]!);
      if (block === 0) break;
      const count = holders.count(trie.page(block), recordAt(block));
      if (count !== lastCount && lastCount !== 0) {
        holders.credit(trie.page(last), recordAt(last), at - start - credited, this.#slots, out);
        credited = at - start;
      }
      last = block;
      lastCount = count;
      at++;
    }
    if (last !== 0) holders.credit(trie.page(last), recordAt(last), at - start - credited, this.#slots, out);
  }

  /** Hashes an endpoint holds, newest first, as pairs of words. */
  hashesOf(id: string): Uint32Array {
    const list = this.#listOf(id);
    const hashes = new Uint32Array((list?.size ?? 0) * 2);
    if (list === undefined) return hashes;
    let node = list.newest;
    for (let i = 0; i < hashes.length; i += 2) {
      const block = list.words[nodeAt(node) + blockWord]!;
      hashes[i] = this.#trie.page(block)[recordAt(block) + lowWord]!;
      hashes[i + 1] = this.#trie.page(block)[recordAt(block) + highWord]!;
      node = list.words[nodeAt(node) + olderWord]!;
    }
    return hashes;
  }

  #listOf(id: string): RecencyList | undefined {
    const number = this.#numbers.get(id);
    return number === undefined ? undefined : this.#lists[number];
  }

  /** Drops the oldest blocks of an endpoint; nothing for a count below 1. */
  #evict(number: number, list: RecencyList, count: number): void {
    for (let i = 0; i < count; i++) {
      const node = list.oldest;
      const block = list.words[nodeAt(node) + blockWord]!;
      list.delete(node);
      if (this.#holders.remove(this.#trie.page(block), recordAt(block), number) === 0) this.#trie.delete(block);
    }
  }
}
