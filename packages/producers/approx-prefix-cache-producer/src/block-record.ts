/** Words of one block's record. */
export const recordWords = 6;
/** Low half of the block's hash. */
export const lowWord = 0;
/** High half of the block's hash. */
export const highWord = 1;
/** The block before this one in its prompt; 0 for the first. */
export const parentWord = 2;
/** One of the blocks that follow this one, 0 for none; the next free record where this one is free. */
export const childWord = 3;
/** Where the holders stand; see `HolderLists`. */
export const holdersWord = 4;
/** How many holders; see `HolderLists`. */
export const countWord = 5;

/** Records stand in pages of this many, as a power of two. */
export const pageShift = 12;

/** Index of the first word of a block's record in `pages[block >>> pageShift]`. */
export function recordAt(block: number): number {
  return (block & ((1 << pageShift) - 1)) * recordWords;
}
