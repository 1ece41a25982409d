/** Random numbers that a seed determines. */
export class FuzzRandom {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** Random numbers that the bytes determine: an input alone says how it is tried. */
  static of(bytes: Uint8Array): FuzzRandom {
    let hash = 0x811c9dc5;
    for (const byte of bytes) hash = Math.imul(hash ^ byte, 0x01000193);
    return new FuzzRandom(hash);
  }

  /** Random numbers of one of many runs of a seed. */
  static at(seed: number, index: number): FuzzRandom {
    const random = new FuzzRandom(seed);
    random.#state = (random.below(0x1_0000_0000) ^ Math.imul(index + 1, 0x9e3779b1)) >>> 0;
    return random;
  }

  /** A whole number from 0 to `limit - 1`; `limit` is at most 2^32. Source: mulberry32. */
  below(limit: number): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000) * limit);
  }

  /** True once in `times`. */
  oneIn(times: number): boolean {
    return this.below(times) === 0;
  }

  pick<T>(choices: readonly T[]): T {
    // A list without entries is a bug of the target.
    return choices[this.below(choices.length)] as T;
  }

  bytes(count: number): Buffer {
    const bytes = Buffer.allocUnsafe(count);
    for (let at = 0; at < count; at++) bytes[at] = this.below(256);
    return bytes;
  }

  /** What `make` gives, up to `most` times. */
  list<T>(most: number, make: () => T): T[] {
    return Array.from({ length: this.below(most + 1) }, make);
  }
}
