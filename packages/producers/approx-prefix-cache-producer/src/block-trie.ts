import {
  childWord,
  countWord,
  highWord,
  lowWord,
  pageShift,
  parentWord,
  recordAt,
  recordWords,
} from "./block-record.ts";
import { BranchTable } from "./branch-table.ts";

/**
 * Prompt blocks as a trie: a block is known by its parent and its 64-bit hash.
 *
 * A block is a number above 0 that is used again after `delete`; block 0 is the start of all prompts. A record names one
 * child, further ones stand in a {@link BranchTable}. Blocks made in a row stand in a row, so that walking along a prompt
 * reads memory forwards. Records stand in pages: growing copies nothing. Memory per block: 24 bytes, and some 12 for those
 * in the branch table.
 */
export class BlockTrie {
  readonly #pages: Uint32Array[] = [newPage()];
  readonly #branches: BranchTable;
  /** Records below this number have been used at least once. */
  #used = 1;
  #free = 0;
  #size = 0;

  /** `seed`: see {@link BranchTable}. */
  constructor(seed: number) {
    this.#branches = new BranchTable(this.#pages, seed);
  }

  /** Blocks in the trie. */
  get size(): number {
    return this.#size;
  }

  /** Bytes of records and tables, used or not. */
  get memoryBytes(): number {
    return (this.#pages.length << pageShift) * recordWords * 4 + this.#branches.memoryBytes;
  }

  /** The page with the block's record, which starts at `recordAt(block)`. */
  page(block: number): Uint32Array {
    return this.#pages[block >>> pageShift]!;
  }

  /** The block that follows `parent` with this hash, 0 when there is none. */
  child(parent: number, low: number, high: number): number {
    const named = this.#pages[parent >>> pageShift]![recordAt(parent) + childWord]!;
    if (named !== 0) {
      const page = this.#pages[named >>> pageShift]!;
      const at = recordAt(named);
      if (page[at + lowWord] === low && page[at + highWord] === high) return named;
    }
    return this.#branches.find(parent, low, high);
  }

  /** Adds a block without holders after `parent`, which has no child of this hash. */
  create(parent: number, low: number, high: number): number {
    let block = this.#free;
    if (block === 0) {
      block = this.#used++;
      if (block >>> pageShift === this.#pages.length) this.#pages.push(newPage());
    } else {
      this.#free = this.#pages[block >>> pageShift]![recordAt(block) + childWord]!;
    }
    const page = this.#pages[block >>> pageShift]!;
    const at = recordAt(block);
    page[at + lowWord] = low;
    page[at + highWord] = high;
    page[at + parentWord] = parent;
    page[at + childWord] = 0;
    page[at + countWord] = 0;
    const parentPage = this.#pages[parent >>> pageShift]!;
    const parentAt = recordAt(parent);
    if (parentPage[parentAt + childWord] === 0) parentPage[parentAt + childWord] = block;
    else this.#branches.add(block);
    this.#size++;
    return block;
  }

  /** Removes a block that no other follows. */
  delete(block: number): void {
    const page = this.#pages[block >>> pageShift]!;
    const at = recordAt(block);
    const parent = page[at + parentWord]!;
    const parentPage = this.#pages[parent >>> pageShift]!;
    const parentAt = recordAt(parent);
    if (parentPage[parentAt + childWord] === block) parentPage[parentAt + childWord] = 0;
    else this.#branches.delete(block);
    page[at + childWord] = this.#free;
    this.#free = block;
    this.#size--;
  }
}

function newPage(): Uint32Array {
  return new Uint32Array((1 << pageShift) * recordWords);
}
