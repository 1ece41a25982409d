/**
 * A pool of KV-cache blocks with a prefix cache. A full block stays findable by its key after its last user has gone;
 * when a block is needed, the one without a user for longest is taken. All operations but those on lists are O(1).
 */
export class KvCache {
  readonly blocks: number;
  /** Key of what a block holds; 0 = nothing that can be found. */
  readonly #keyOf: Float64Array;
  readonly #users: Int32Array;
  /** Neighbours in the list of unused blocks, oldest first. Entry `blocks` is its head and tail. */
  readonly #previous: Int32Array;
  readonly #next: Int32Array;
  readonly #blockOf = new Map<number, number>();
  #unused: number;

  constructor(blocks: number) {
    this.blocks = blocks;
    this.#unused = blocks;
    this.#keyOf = new Float64Array(blocks);
    this.#users = new Int32Array(blocks);
    this.#previous = Int32Array.from({ length: blocks + 1 }, (_, i) => (i === 0 ? blocks : i - 1));
    this.#next = Int32Array.from({ length: blocks + 1 }, (_, i) => (i === blocks ? 0 : i + 1));
  }

  /** Blocks without a user, those that hold cached prefixes included. */
  get unused(): number {
    return this.#unused;
  }

  /** Blocks that can be found by a key. */
  get findable(): number {
    return this.#blockOf.size;
  }

  /** How many of the first `limit` keys are cached, counted up to the first that is not. */
  countHits(keys: Float64Array, limit: number): number {
    for (let i = 0; i < limit; i += 1) if (!this.#blockOf.has(keys[i] ?? 0)) return i;
    return limit;
  }

  /** How many of the first `hits` keys, all cached, lie in blocks without a user. */
  countUnused(keys: Float64Array, hits: number): number {
    let unused = 0;
    for (let i = 0; i < hits; i += 1) {
      const block = this.#blockOf.get(keys[i] ?? 0);
      if (block !== undefined && this.#users[block] === 0) unused += 1;
    }
    return unused;
  }

  /** Adds a user to the block of a key and returns the block. Throws when the key is not cached. */
  share(key: number): number {
    const block = this.#blockOf.get(key);
    if (block === undefined) throw new Error("KvCache.share: the key is not cached");
    const users = this.#users[block] ?? 0;
    if (users === 0) this.#unlink(block);
    this.#users[block] = users + 1;
    return block;
  }

  /** Takes the block that has had no user for longest and forgets what it held. Throws when all are in use. */
  take(): number {
    const block = this.#next[this.blocks] ?? this.blocks;
    if (block === this.blocks) throw new Error("KvCache.take: no block is free");
    this.#unlink(block);
    const key = this.#keyOf[block] ?? 0;
    if (key !== 0) {
      this.#blockOf.delete(key);
      this.#keyOf[block] = 0;
    }
    this.#users[block] = 1;
    return block;
  }

  /** Makes a block findable. Does nothing when another block already has the key. */
  publish(block: number, key: number): void {
    if (this.#blockOf.has(key) || this.#keyOf[block] !== 0) return;
    this.#blockOf.set(key, block);
    this.#keyOf[block] = key;
  }

  /** Takes a user away from each block, last block first, so the start of a prompt outlives its end. */
  release(blocks: readonly number[]): void {
    for (let i = blocks.length - 1; i >= 0; i -= 1) {
      const block = blocks[i] ?? 0;
      const users = (this.#users[block] ?? 0) - 1;
      this.#users[block] = users;
      if (users === 0) this.#append(block);
    }
  }

  #unlink(block: number): void {
    const previous = this.#previous[block] ?? 0;
    const next = this.#next[block] ?? 0;
    this.#next[previous] = next;
    this.#previous[next] = previous;
    this.#unused -= 1;
  }

  #append(block: number): void {
    const last = this.#previous[this.blocks] ?? 0;
    this.#previous[block] = last;
    this.#next[block] = this.blocks;
    this.#next[last] = block;
    this.#previous[this.blocks] = block;
    this.#unused += 1;
  }
}
