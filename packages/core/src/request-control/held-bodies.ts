/** Bytes that a process holds of all requests, or of all answers. What comes slowly, or waits, adds up. */
export class HeldBodies {
  readonly limitBytes: number;
  #bytes = 0;

  constructor(limitBytes: number) {
    this.limitBytes = limitBytes;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Counts further bytes, or fewer when negative; false, and nothing is counted, when they are too many. */
  take(bytes: number): boolean {
    if (this.#bytes + bytes > this.limitBytes) return false;
    this.#bytes += bytes;
    return true;
  }

  give(bytes: number): void {
    this.#bytes -= bytes;
  }
}
