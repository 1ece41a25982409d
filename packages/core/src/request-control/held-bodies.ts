/** Bytes of all request bodies that a process holds until they are routed. Bodies that come slowly, or wait, add up. */
export class HeldBodies {
  readonly limitBytes: number;
  #bytes = 0;

  constructor(limitBytes: number) {
    this.limitBytes = limitBytes;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Counts further bytes; false, and nothing is counted, when they are too many. */
  take(bytes: number): boolean {
    if (this.#bytes + bytes > this.limitBytes) return false;
    this.#bytes += bytes;
    return true;
  }

  give(bytes: number): void {
    this.#bytes -= bytes;
  }
}
