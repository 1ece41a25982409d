import type { Http2Call } from "./http2-call.ts";

const firstSlots = 64;

/**
 * The open streams of a connection by id: a table with linear probing, which grows and never shrinks.
 *
 * Not a Map: a table that a Map has outgrown points to the next one. Once such a table is in V8's old generation, all
 * later ones follow, each with the streams that were in it and all that they hold, until the whole heap is marked.
 */
export class CallTable {
  /** Odd. Differs from table to table, so that no peer can choose ids that meet in one slot. */
  readonly #factor = Math.floor(Math.random() * 0x1_0000_0000) | 1;
  #slots: (Http2Call | undefined)[] = new Array<Http2Call | undefined>(firstSlots).fill(undefined);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get(id: number): Http2Call | undefined {
    const slots = this.#slots;
    const mask = slots.length - 1;
    for (let slot = this.#home(id); ; slot = (slot + 1) & mask) {
      const call = slots[slot];
      if (call === undefined || call.id === id) return call;
    }
  }

  has(id: number): boolean {
    return this.get(id) !== undefined;
  }

  /** The id must not be in the table. */
  add(call: Http2Call): void {
    // Half of the slots stay free, so that probes are short.
    if (this.#size * 2 >= this.#slots.length) this.#grow();
    this.#size++;
    this.#place(call);
  }

  delete(id: number): void {
    const slots = this.#slots;
    const mask = slots.length - 1;
    let free = this.#home(id);
    while (slots[free] !== undefined && slots[free]!.id !== id) free = (free + 1) & mask;
    if (slots[free] === undefined) return;
    this.#size--;
    // What was pushed past the slot moves up, so that no probe ends too early.
    for (let at = (free + 1) & mask; slots[at] !== undefined; at = (at + 1) & mask) {
      const home = this.#home(slots[at]!.id);
      if (((at - home) & mask) < ((at - free) & mask)) continue;
      slots[free] = slots[at];
      free = at;
    }
    slots[free] = undefined;
  }

  /** The open streams at this moment, oldest first. */
  values(): Http2Call[] {
    return this.inAnyOrder().sort((a, b) => a.id - b.id);
  }

  /** The open streams at this moment, for what a peer may ask for often. */
  inAnyOrder(): Http2Call[] {
    return this.#slots.filter((call) => call !== undefined);
  }

  clear(): void {
    this.#slots = new Array<Http2Call | undefined>(firstSlots).fill(undefined);
    this.#size = 0;
  }

  #grow(): void {
    const before = this.#slots;
    this.#slots = new Array<Http2Call | undefined>(before.length * 2).fill(undefined);
    for (const call of before) if (call !== undefined) this.#place(call);
  }

  #place(call: Http2Call): void {
    const slots = this.#slots;
    const mask = slots.length - 1;
    let slot = this.#home(call.id);
    while (slots[slot] !== undefined) slot = (slot + 1) & mask;
    slots[slot] = call;
  }

  /** Where a stream stands when nothing is in its way: the high bits of a product, which all bits of the id reach. */
  #home(id: number): number {
    return Math.imul(id, this.#factor) >>> (Math.clz32(this.#slots.length) + 1);
  }
}
