import { countWord, holdersWord } from "./block-record.ts";

/** Largest number of an endpoint: all of them together can be counted in 16 bits. */
export const maxEndpointNumber = 65_534;

const countMask = 0xffff;
const minPageWords = 8192;

/** Lists of one length. */
interface SizeClass {
  readonly pages: Uint32Array[];
  readonly listWords: number;
  readonly listsPerPage: number;
  used: number;
  free: number;
}

/**
 * Who holds a block: pairs of an endpoint number and the block's node in that endpoint's recency list.
 *
 * A single holder stands in the block's record itself: its node in the holders word, its number in the upper half of the
 * count word. Two and more stand in a list of 2, 4, 8 ... pairs of two words each, whose number is in the holders word.
 * The count alone says which length that is. An endpoint may hold a block once.
 */
export class HolderLists {
  readonly #classes: (SizeClass | undefined)[] = [];

  /** Bytes of all lists, used or not. */
  get memoryBytes(): number {
    let words = 0;
    for (const size of this.#classes) {
      if (size !== undefined) words += size.pages.length * size.listWords * size.listsPerPage;
    }
    return words * 4;
  }

  /** Holders of the block whose record stands at `at` of `page`. */
  count(page: Uint32Array, at: number): number {
    return page[at + countWord]! & countMask;
  }

  /** The block's node at an endpoint, 0 when that endpoint does not hold it. */
  nodeOf(page: Uint32Array, at: number, endpoint: number): number {
    const count = page[at + countWord]! & countMask;
    if (count <= 1) return count === 1 && page[at + countWord]! >>> 16 === endpoint ? page[at + holdersWord]! : 0;
    const size = this.#sizeFor(count);
    const list = page[at + holdersWord]!;
    const words = listPage(size, list);
    const from = listAt(size, list);
    for (let i = from; i < from + count * 2; i += 2) {
      if (words[i] === endpoint) return words[i + 1]!;
    }
    return 0;
  }

  /** Adds an endpoint that does not hold the block. */
  add(page: Uint32Array, at: number, endpoint: number, node: number): void {
    const count = page[at + countWord]! & countMask;
    if (count === 0) {
      page[at + holdersWord] = node;
      page[at + countWord] = 1 | (endpoint << 16);
      return;
    }
    const wanted = this.#sizeFor(count + 1);
    let list = page[at + holdersWord]!;
    if (count === 1) {
      const first = list;
      list = allocate(wanted);
      const from = listAt(wanted, list);
      listPage(wanted, list)[from] = page[at + countWord]! >>> 16;
      listPage(wanted, list)[from + 1] = first;
    } else {
      const present = this.#sizeFor(count);
      if (present !== wanted) list = move(present, list, wanted, count);
    }
    const words = listPage(wanted, list);
    const end = listAt(wanted, list) + count * 2;
    words[end] = endpoint;
    words[end + 1] = node;
    page[at + holdersWord] = list;
    page[at + countWord] = count + 1;
  }

  /** Removes an endpoint that holds the block, and returns how many holders are left. */
  remove(page: Uint32Array, at: number, endpoint: number): number {
    const left = (page[at + countWord]! & countMask) - 1;
    if (left === 0) {
      page[at + countWord] = 0;
      return 0;
    }
    const present = this.#sizeFor(left + 1);
    const list = page[at + holdersWord]!;
    const words = listPage(present, list);
    const from = listAt(present, list);
    const last = from + left * 2;
    let i = from;
    while (i < last && words[i] !== endpoint) i += 2;
    words[i] = words[last]!;
    words[i + 1] = words[last + 1]!;
    if (left === 1) {
      page[at + holdersWord] = words[from + 1]!;
      page[at + countWord] = 1 | (words[from]! << 16);
      release(present, list);
      return 1;
    }
    const wanted = this.#sizeFor(left);
    if (wanted !== present) page[at + holdersWord] = move(present, list, wanted, left);
    page[at + countWord] = left;
    return left;
  }

  /** Adds `blocks` to `out[slots[e]]` of each holder `e`; slots outside of `out` are left out. */
  credit(page: Uint32Array, at: number, blocks: number, slots: Int32Array, out: Int32Array): void {
    const count = page[at + countWord]! & countMask;
    if (count <= 1) {
      if (count === 1) creditOne(slots[page[at + countWord]! >>> 16]!, blocks, out);
      return;
    }
    const size = this.#sizeFor(count);
    const list = page[at + holdersWord]!;
    const words = listPage(size, list);
    const from = listAt(size, list);
    for (let i = from; i < from + count * 2; i += 2) creditOne(slots[words[i]!]!, blocks, out);
  }

  /** The class of lists that take `count` holders, 2 or more. */
  #sizeFor(count: number): SizeClass {
    const power = 32 - Math.clz32(count - 1);
    let size = this.#classes[power];
    if (size === undefined) {
      while (this.#classes.length <= power) this.#classes.push(undefined);
      const listWords = 2 << power;
      // List 0 stays unused, so that 0 ends the chain of free lists.
      size = { pages: [], listWords, listsPerPage: Math.max(1, minPageWords / listWords), used: 1, free: 0 };
      this.#classes[power] = size;
    }
    return size;
  }
}

function creditOne(slot: number, blocks: number, out: Int32Array): void {
  if (slot >= 0 && slot < out.length) out[slot]! += blocks;
}

function listPage(size: SizeClass, list: number): Uint32Array {
  return size.pages[(list / size.listsPerPage) | 0]!;
}

function listAt(size: SizeClass, list: number): number {
  return (list & (size.listsPerPage - 1)) * size.listWords;
}

function allocate(size: SizeClass): number {
  const list = size.free;
  if (list !== 0) {
    size.free = listPage(size, list)[listAt(size, list)]!;
    return list;
  }
  while (size.used >= size.pages.length * size.listsPerPage) {
    size.pages.push(new Uint32Array(size.listWords * size.listsPerPage));
  }
  return size.used++;
}

function release(size: SizeClass, list: number): void {
  listPage(size, list)[listAt(size, list)] = size.free;
  size.free = list;
}

/** Copies `count` pairs into a list of another length, and returns its number. */
function move(from: SizeClass, list: number, to: SizeClass, count: number): number {
  const target = allocate(to);
  const start = listAt(from, list);
  listPage(to, target).set(listPage(from, list).subarray(start, start + count * 2), listAt(to, target));
  release(from, list);
  return target;
}
