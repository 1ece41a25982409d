/** Hands out small integers: always the smallest that is free. */
export class SlotAllocator {
  readonly #taken: boolean[] = [];
  /** No slot below this one is free. */
  #searchFrom = 0;

  /** Takes the smallest free slot. */
  take(): number {
    let slot = this.#searchFrom;
    while (this.#taken[slot] === true) slot++;
    this.#taken[slot] = true;
    this.#searchFrom = slot + 1;
    return slot;
  }

  /** Makes a slot free again. */
  release(slot: number): void {
    this.#taken[slot] = false;
    if (slot < this.#searchFrom) this.#searchFrom = slot;
  }
}
