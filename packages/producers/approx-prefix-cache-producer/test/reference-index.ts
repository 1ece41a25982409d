/** The index as plain sets and lists: what `PrefixIndex` is compared with. */
export class ReferenceIndex {
  /** Hashes each endpoint holds, oldest first. */
  readonly #held: Map<string, Set<string>> = new Map();
  readonly #slots: Map<string, number> = new Map();
  readonly #capacities: Map<string, number> = new Map();

  get entries(): number {
    return [...this.#held.values()].reduce((sum, held) => sum + held.size, 0);
  }

  /** Newest first. */
  hashesOf(id: string): readonly string[] {
    return [...(this.#held.get(id) ?? [])].toReversed();
  }

  setEndpoint(id: string, slot: number, capacity: number): void {
    if (!this.#held.has(id)) this.#held.set(id, new Set());
    this.#slots.set(id, slot);
    this.#capacities.set(id, capacity);
    this.#evict(id);
  }

  removeEndpoint(id: string): void {
    this.#held.delete(id);
    this.#slots.delete(id);
  }

  /** An exact LRU that is told of each hash, the last one first. */
  insert(id: string, hashes: readonly string[]): void {
    const held = this.#held.get(id);
    if (held === undefined) return;
    for (const hash of hashes.toReversed()) {
      held.delete(hash);
      held.add(hash);
      this.#evict(id);
    }
  }

  /** Leading hashes each endpoint holds, by slot. */
  match(hashes: readonly string[], slots: number): Int32Array {
    const out = new Int32Array(slots);
    for (const [id, held] of this.#held) {
      const gap = hashes.findIndex((hash) => !held.has(hash));
      const slot = this.#slots.get(id)!;
      if (slot < slots) out[slot]! += gap === -1 ? hashes.length : gap;
    }
    return out;
  }

  #evict(id: string): void {
    const held = this.#held.get(id)!;
    for (const oldest of held) {
      if (held.size <= this.#capacities.get(id)!) return;
      held.delete(oldest);
    }
  }
}
