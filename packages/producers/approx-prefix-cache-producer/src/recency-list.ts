/** Words of one node. */
const nodeWords = 3;
/** The block a node stands for. */
export const blockWord = 0;
/** The next newer node. */
export const newerWord = 1;
/** The next older node, or the next free one. */
export const olderWord = 2;

const firstNodes = 64;

/** Index of the first word of a node. */
export function nodeAt(node: number): number {
  return node * nodeWords;
}

/**
 * The blocks one endpoint holds, from the newest to the oldest.
 *
 * A node is a number above 0; node 0 closes the ring: its older neighbour is the newest node, its newer neighbour the
 * oldest. Grows by doubling up to what was ever needed at once. Memory: 12 bytes per node.
 */
export class RecencyList {
  /** All nodes; another array after `allocate`. */
  words: Uint32Array = new Uint32Array(firstNodes * nodeWords);
  /** Nodes in the ring. */
  size = 0;
  /** Nodes the ring may have. */
  capacity: number;
  #used = 1;
  #free = 0;

  constructor(capacity: number) {
    this.capacity = capacity;
  }

  /** The newest node, 0 when there is none. */
  get newest(): number {
    return this.words[olderWord]!;
  }

  /** The oldest node, 0 when there is none. */
  get oldest(): number {
    return this.words[newerWord]!;
  }

  /** Makes a node for `block` on the older side of `after`; 0 puts it in front of all. */
  insert(block: number, after: number): number {
    const node = this.#allocate();
    this.words[nodeAt(node) + blockWord] = block;
    this.link(node, node, after);
    this.size++;
    return node;
  }

  /** Takes a node out of the ring and frees it. */
  delete(node: number): void {
    this.unlink(node, node);
    this.words[nodeAt(node) + olderWord] = this.#free;
    this.#free = node;
    this.size--;
  }

  /** Takes the stretch from `first` (newer) to `last` (older) out of the ring. */
  unlink(first: number, last: number): void {
    const { words } = this;
    const newer = words[nodeAt(first) + newerWord]!;
    const older = words[nodeAt(last) + olderWord]!;
    words[nodeAt(newer) + olderWord] = older;
    words[nodeAt(older) + newerWord] = newer;
  }

  /** Puts a stretch back in on the older side of `after`. */
  link(first: number, last: number, after: number): void {
    const { words } = this;
    const older = words[nodeAt(after) + olderWord]!;
    words[nodeAt(after) + olderWord] = first;
    words[nodeAt(first) + newerWord] = after;
    words[nodeAt(last) + olderWord] = older;
    words[nodeAt(older) + newerWord] = last;
  }

  #allocate(): number {
    const node = this.#free;
    if (node !== 0) {
      this.#free = this.words[nodeAt(node) + olderWord]!;
      return node;
    }
    if (nodeAt(this.#used) === this.words.length) {
      const grown = new Uint32Array(this.words.length * 2);
      grown.set(this.words);
      this.words = grown;
    }
    return this.#used++;
  }
}
