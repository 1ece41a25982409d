/** How a stream ended: by both sides, by the peer's RST_STREAM, by ours, or not remembered. */
export type ClosedHow = "done" | "peer-reset" | "our-reset" | undefined;

const slots = 2048;
const names: readonly ClosedHow[] = [undefined, "done", "peer-reset", "our-reset"];

/** Remembers how the last streams of a connection ended; a newer one takes the place of an older one. */
export class ClosedStreams {
  readonly #ids: Int32Array = new Int32Array(slots);
  readonly #how: Uint8Array = new Uint8Array(slots);

  add(id: number, how: Exclude<ClosedHow, undefined>): void {
    const slot = (id >>> 1) % slots;
    this.#ids[slot] = id;
    this.#how[slot] = names.indexOf(how);
  }

  get(id: number): ClosedHow {
    const slot = (id >>> 1) % slots;
    return this.#ids[slot] === id ? names[this.#how[slot]!] : undefined;
  }
}
