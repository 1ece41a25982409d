import type { Endpoint } from "@pointsman/core";

/** Endpoints in the order in which they were last used. */
export class RecentlyUsed {
  readonly #limit: number;
  /** Oldest first. */
  readonly #endpoints: Set<Endpoint> = new Set();
  /** By slot: an endpoint's place in the list that is ranked. What stands there from another list is told by a look at it. */
  #places: Int32Array = new Int32Array(16);

  /** Beyond `limit` endpoints, the one whose use lies back longest is forgotten. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  get size(): number {
    return this.#endpoints.size;
  }

  has(endpoint: Endpoint): boolean {
    return this.#endpoints.has(endpoint);
  }

  /** Makes an endpoint the one used last. */
  use(endpoint: Endpoint): void {
    this.#endpoints.delete(endpoint);
    this.#endpoints.add(endpoint);
    if (this.#endpoints.size <= this.#limit) return;
    for (const oldest of this.#endpoints) {
      this.#endpoints.delete(oldest);
      return;
    }
  }

  forget(endpoint: Endpoint): void {
    this.#endpoints.delete(endpoint);
  }

  /** Up to `count` ids, oldest first. */
  oldestIds(count: number): readonly string[] {
    const ids: string[] = [];
    for (const endpoint of this.#endpoints) {
      if (ids.length === count) break;
      ids.push(endpoint.id);
    }
    return ids;
  }

  /**
   * Fills `out[i]` for `endpoints[i]` in even steps from 1 to 0: first those never used, in their order in the list, then
   * the others, whose use lies back longest first. A single endpoint gets 1. O(endpoints + endpoints remembered), no
   * allocation per endpoint.
   */
  score(endpoints: readonly Endpoint[], out: Float64Array): void {
    const last = Math.max(1, endpoints.length - 1);
    let rank = 0;
    for (let i = 0; i < endpoints.length; i++) {
      const endpoint = endpoints[i]!;
      this.#setPlace(endpoint.slot, i);
      if (!this.#endpoints.has(endpoint)) out[i] = 1 - rank++ / last;
    }
    if (rank === endpoints.length) return;
    for (const endpoint of this.#endpoints) {
      const place = this.#places[endpoint.slot] ?? -1;
      if (endpoints[place] === endpoint) out[place] = 1 - rank++ / last;
    }
  }

  #setPlace(slot: number, place: number): void {
    if (slot >= this.#places.length) {
      const grown = new Int32Array(Math.max(slot + 1, this.#places.length * 2));
      grown.set(this.#places);
      this.#places = grown;
    }
    this.#places[slot] = place;
  }
}
