import type { Endpoint, EndpointEvent } from "@pointsman/core";

/** What one endpoint is believed to hold. */
export interface EncoderCache {
  readonly endpoint: Endpoint;
  /** Hashes, the one used longest ago first. */
  readonly hashes: Set<string>;
}

const noCaches: ReadonlySet<EncoderCache> = new Set();

/**
 * Which endpoint holds which items: for each endpoint the items it was sent last, up to a number of them.
 *
 * An endpoint is the object, not its id: one that comes back under its id starts empty.
 */
export class EncoderCaches {
  readonly #capacity: number;
  readonly #knownEndpoints: () => readonly Endpoint[];
  /** By endpoint id. */
  readonly #caches: Map<string, EncoderCache> = new Map();
  readonly #holders: Map<string, Set<EncoderCache>> = new Map();

  /** `capacity` is in items for each endpoint, at least 1. */
  constructor(capacity: number, knownEndpoints: () => readonly Endpoint[]) {
    this.#capacity = capacity;
    this.#knownEndpoints = knownEndpoints;
  }

  /** Whoever holds an item. Looking renews nothing. */
  holders(hash: string): ReadonlySet<EncoderCache> {
    return this.#holders.get(hash) ?? noCaches;
  }

  /** Makes an item the newest of an endpoint; nothing for an endpoint that is no longer known. */
  add(endpoint: Endpoint, hashes: Iterable<string>): void {
    const cache = this.#cacheOf(endpoint);
    if (cache === undefined) return;
    for (const hash of hashes) {
      // Taken out and put back, it stands last.
      if (!cache.hashes.delete(hash)) this.#hold(hash, cache);
      cache.hashes.add(hash);
      if (cache.hashes.size <= this.#capacity) continue;
      const [oldest] = cache.hashes;
      if (oldest !== undefined) this.#release(oldest, cache);
    }
  }

  endpointChanged({ type, endpoint }: EndpointEvent): void {
    const known = this.#caches.get(endpoint.id);
    if (known === undefined) return;
    if ((type === "delete") === (known.endpoint === endpoint)) this.#drop(known);
  }

  /** Drops endpoints that are no longer known. */
  sweep(): void {
    const known = new Set(this.#knownEndpoints());
    for (const cache of this.#caches.values()) {
      if (!known.has(cache.endpoint)) this.#drop(cache);
    }
  }

  /** Endpoints with their number of items, in the order they were first sent one. */
  *sizes(): IterableIterator<readonly [id: string, items: number]> {
    for (const [id, { hashes }] of this.#caches) yield [id, hashes.size];
  }

  /** Pairs of an endpoint and an item it holds. */
  get entries(): number {
    let entries = 0;
    for (const { hashes } of this.#caches.values()) entries += hashes.size;
    return entries;
  }

  /** Items that someone holds. */
  get items(): number {
    return this.#holders.size;
  }

  #cacheOf(endpoint: Endpoint): EncoderCache | undefined {
    const known = this.#caches.get(endpoint.id);
    if (known?.endpoint === endpoint) return known;
    // A decision may come after its endpoint has gone.
    if (!this.#knownEndpoints().includes(endpoint)) return undefined;
    if (known !== undefined) this.#drop(known);
    const cache: EncoderCache = { endpoint, hashes: new Set() };
    this.#caches.set(endpoint.id, cache);
    return cache;
  }

  #hold(hash: string, cache: EncoderCache): void {
    const holders = this.#holders.get(hash);
    if (holders === undefined) this.#holders.set(hash, new Set([cache]));
    else holders.add(cache);
  }

  #release(hash: string, cache: EncoderCache): void {
    cache.hashes.delete(hash);
    const holders = this.#holders.get(hash);
    holders?.delete(cache);
    if (holders?.size === 0) this.#holders.delete(hash);
  }

  #drop(cache: EncoderCache): void {
    this.#caches.delete(cache.endpoint.id);
    for (const hash of cache.hashes) this.#release(hash, cache);
  }
}
