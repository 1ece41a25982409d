/** The connection's receive window: what the peer may send, and what has been used and not credited. */
export class ReceiveWindow {
  readonly byteCount: number;
  #leftBytes: number;
  #usedBytes = 0;

  constructor(byteCount: number) {
    this.byteCount = byteCount;
    this.#leftBytes = byteCount;
  }

  /** False when the peer sends more than it may. */
  take(byteCount: number): boolean {
    this.#leftBytes -= byteCount;
    this.#usedBytes += byteCount;
    return this.#leftBytes >= 0;
  }

  /** Bytes to credit: 0 until half of the window is used, so that updates are few. */
  credit(): number {
    const usedBytes = this.#usedBytes;
    if (usedBytes < this.byteCount / 2) return 0;
    this.#usedBytes = 0;
    this.#leftBytes += usedBytes;
    return usedBytes;
  }
}
