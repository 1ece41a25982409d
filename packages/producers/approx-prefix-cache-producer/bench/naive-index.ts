/** The index in the plainest form: a map from hash to holders, and a map in order of use for each endpoint. */
export class NaiveIndex {
  readonly #holders: Map<bigint, Set<string>> = new Map();
  readonly #held: Map<string, Map<bigint, true>> = new Map();
  readonly #capacity: number;

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  /** Leading blocks by endpoint. */
  match(hashes: readonly bigint[]): Map<string, number> {
    const matched = new Map<string, number>();
    for (let i = 0; i < hashes.length; i++) {
      const holders = this.#holders.get(hashes[i]!);
      if (holders === undefined) break;
      let anyLeft = false;
      for (const id of holders) {
        if ((matched.get(id) ?? 0) !== i) continue;
        matched.set(id, i + 1);
        anyLeft = true;
      }
      if (!anyLeft) break;
    }
    return matched;
  }

  insert(id: string, hashes: readonly bigint[]): void {
    let held = this.#held.get(id);
    if (held === undefined) {
      held = new Map();
      this.#held.set(id, held);
    }
    for (let i = hashes.length - 1; i >= 0; i--) {
      const hash = hashes[i]!;
      if (held.delete(hash)) {
        held.set(hash, true);
        continue;
      }
      held.set(hash, true);
      let holders = this.#holders.get(hash);
      if (holders === undefined) {
        holders = new Set();
        this.#holders.set(hash, holders);
      }
      holders.add(id);
      if (held.size > this.#capacity) this.#evictOldest(id, held);
    }
  }

  #evictOldest(id: string, held: Map<bigint, true>): void {
    for (const oldest of held.keys()) {
      held.delete(oldest);
      const holders = this.#holders.get(oldest)!;
      holders.delete(id);
      if (holders.size === 0) this.#holders.delete(oldest);
      return;
    }
  }
}
