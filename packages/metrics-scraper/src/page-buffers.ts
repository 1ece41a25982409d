const smallestBytes = 65_536;
/** Buffers that wait for their next use, and how large they may be. */
const maxFree = 32;
const maxFreeBytes = 1_048_576;

/** Buffers in which pages that come in parts are put together; the connections of one source share them. */
export class PageBuffers {
  readonly #free: Buffer[] = [];

  /** A buffer of at least `byteCount` bytes. */
  take(byteCount: number): Buffer {
    const free = this.#free.pop();
    if (free !== undefined && free.length >= byteCount) return free;
    return Buffer.allocUnsafeSlow(Math.max(byteCount, smallestBytes));
  }

  /** Takes back a buffer that nobody reads any more. */
  give(buffer: Buffer): void {
    if (this.#free.length < maxFree && buffer.length <= maxFreeBytes) this.#free.push(buffer);
  }
}
