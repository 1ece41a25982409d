import { unsharedKey } from "../workload/workload.ts";

/** No block, no key, end of a list. */
const none = -1;

/**
 * Blocks of a KV cache with prefix caching. A block that holds a full run of tokens stays findable by its key after its
 * last user is gone, until it is the block freed longest ago and is needed.
 *
 * Keys are whole numbers below `keyCount`; equal keys mean equal tokens up to and including the block. Blocks with
 * {@link unsharedKey} are never found again.
 */
export class KvCache {
  readonly #blockOfKey: Int32Array;
  readonly #keyOfBlock: Int32Array;
  readonly #users: Int32Array;
  /** Doubly linked list of the blocks without users, the one freed longest ago first; the last index is its anchor. */
  readonly #previous: Int32Array;
  readonly #next: Int32Array;
  readonly #anchor: number;
  #free: number;

  constructor(blocks: number, keyCount: number) {
    this.#blockOfKey = new Int32Array(keyCount).fill(none);
    this.#keyOfBlock = new Int32Array(blocks).fill(none);
    this.#users = new Int32Array(blocks);
    this.#previous = new Int32Array(blocks + 1);
    this.#next = new Int32Array(blocks + 1);
    this.#anchor = blocks;
    for (let i = 0; i <= blocks; i++) {
      this.#previous[i] = i === 0 ? blocks : i - 1;
      this.#next[i] = i === blocks ? 0 : i + 1;
    }
    this.#free = blocks;
  }

  get size(): number {
    return this.#anchor;
  }

  /** Blocks without users, those with cached content included. */
  get free(): number {
    return this.#free;
  }

  /** Leading keys that are cached, among the first `count`. */
  matched(keys: Int32Array, count: number): number {
    let i = 0;
    while (i < count && this.#blockOfKey[keys[i]!] !== none) i++;
    return i;
  }

  /** Blocks without users among those of the first `count` keys, all of which are cached. */
  idleAmong(keys: Int32Array, count: number): number {
    let idle = 0;
    for (let i = 0; i < count; i++) if (this.#users[this.#blockOfKey[keys[i]!]!] === 0) idle++;
    return idle;
  }

  /** Adds a user to the block of a cached key, and returns the block. */
  share(key: number): number {
    const block = this.#blockOfKey[key]!;
    if (this.#users[block] === 0) this.#unlink(block);
    this.#users[block]!++;
    return block;
  }

  /** Takes the block that was freed longest ago, and forgets what it held. At least one must be free. */
  take(): number {
    const block = this.#next[this.#anchor]!;
    this.#unlink(block);
    const key = this.#keyOfBlock[block]!;
    if (key !== none) {
      this.#blockOfKey[key] = none;
      this.#keyOfBlock[block] = none;
    }
    this.#users[block] = 1;
    return block;
  }

  /** Makes a block findable by its key, unless another one already is. */
  publish(block: number, key: number): void {
    if (key === unsharedKey) return;
    if (this.#blockOfKey[key] !== none || this.#keyOfBlock[block] !== none) return;
    this.#blockOfKey[key] = block;
    this.#keyOfBlock[block] = key;
  }

  /** Ends a sequence's use of its blocks, last one first, so that the start of a prompt outlives its end. */
  release(blocks: readonly number[]): void {
    for (let i = blocks.length - 1; i >= 0; i--) {
      const block = blocks[i]!;
      this.#users[block]!--;
      if (this.#users[block] !== 0) continue;
      const last = this.#previous[this.#anchor]!;
      this.#next[last] = block;
      this.#previous[block] = last;
      this.#next[block] = this.#anchor;
      this.#previous[this.#anchor] = block;
      this.#free++;
    }
  }

  #unlink(block: number): void {
    const previous = this.#previous[block]!;
    const next = this.#next[block]!;
    this.#next[previous] = next;
    this.#previous[next] = previous;
    this.#free--;
  }
}
