/** Bytes of one slab. */
export const slabBytes = 65_536;

/** Buffers that the connections of one server share for what they are about to write. */
export class SlabPool {
  readonly #free: Buffer[] = [];
  readonly #kept: number;

  /** `kept` slabs at most wait for their next use. */
  constructor(kept = 16) {
    this.#kept = kept;
  }

  take(): Buffer {
    return this.#free.pop() ?? Buffer.allocUnsafeSlow(slabBytes);
  }

  /** Gives back a slab whose bytes nobody reads any more. */
  give(slab: Buffer): void {
    if (this.#free.length < this.#kept) this.#free.push(slab);
  }
}
