import { joinChunks } from "./join-chunks.ts";

/** Memory of which a chunk may be a small part without being copied: Node hands out small buffers as parts of such pools. */
const poolBytes = 65_536;
/** A chunk that is a smaller part of larger memory than this is copied. */
const pinnedShare = 4;
/** So many chunks in a row become one when they are small on average: each costs more memory than its bytes, or keeps a pool. */
const rowChunks = 256;
const smallBytes = 4096;

/** A body that is kept until it is whole. Takes memory in proportion to its bytes, however it is cut and wherever its chunks lie. */
export class BodyChunks {
  #chunks: Uint8Array[] = [];
  /** Chunks from here on may become one. */
  #rowStart = 0;
  #rowBytes = 0;
  #byteCount = 0;

  get byteCount(): number {
    return this.#byteCount;
  }

  /** Adds bytes, which must stay unchanged. */
  push(bytes: Uint8Array): void {
    const { length } = bytes;
    if (length === 0) return;
    this.#byteCount += length;
    this.#rowBytes += length;
    const { byteLength } = bytes.buffer;
    const isPinned = byteLength > poolBytes && length * pinnedShare < byteLength;
    const count = this.#chunks.push(isPinned ? Uint8Array.from(bytes) : bytes);
    if (count - this.#rowStart === rowChunks) this.#endRow();
  }

  /** The whole body, which is kept no longer; the only chunk as it came. */
  take(): Uint8Array {
    const body = joinChunks(this.#chunks, this.#byteCount);
    this.clear();
    return body;
  }

  clear(): void {
    this.#chunks = [];
    this.#rowStart = 0;
    this.#rowBytes = 0;
    this.#byteCount = 0;
  }

  #endRow(): void {
    if (this.#rowBytes < rowChunks * smallBytes) {
      this.#chunks.push(joinChunks(this.#chunks.splice(this.#rowStart), this.#rowBytes));
    }
    this.#rowStart = this.#chunks.length;
    this.#rowBytes = 0;
  }
}
