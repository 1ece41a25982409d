import type { FrameWriter } from "./frame-writer.ts";

const tailBytes = 4096;
/** A slice that is a smaller part of its memory than this is copied, so that a queue cannot pin much more than it counts. */
const pinnedShare = 4;

/** Bytes of one stream that wait for the peer's window or for the socket, in order. */
export class OutputQueue {
  #slices: Uint8Array[] = [];
  #head = 0;
  #headOffset = 0;
  /** Small pieces are gathered here until it is full or a large slice follows. */
  #tail: Buffer | undefined;
  #tailFrom = 0;
  #tailFill = 0;
  /** Bytes in the queue. */
  byteCount = 0;

  /** Adds the prefix of an uncompressed gRPC message. */
  pushPrefix(messageBytes: number): void {
    const prefix = Buffer.alloc(5);
    prefix.writeUInt32BE(messageBytes, 1);
    this.push(prefix, 0, 5);
  }

  push(slice: Uint8Array, start: number, end: number): void {
    const count = end - start;
    if (count === 0) return;
    this.byteCount += count;
    if (count <= tailBytes / 4) {
      if (this.#tail === undefined || tailBytes - this.#tailFill < count) {
        this.#seal();
        this.#tail = Buffer.allocUnsafeSlow(tailBytes);
        this.#tailFrom = 0;
        this.#tailFill = 0;
      }
      this.#tail.set(slice.subarray(start, end), this.#tailFill);
      this.#tailFill += count;
      return;
    }
    this.#seal();
    const part = slice.subarray(start, end);
    this.#slices.push(count * pinnedShare < slice.buffer.byteLength ? Uint8Array.from(part) : part);
  }

  /** Moves the first `count` bytes to the writer; there are at least that many. */
  moveTo(writer: FrameWriter, count: number): void {
    this.byteCount -= count;
    let left = count;
    while (left > 0) {
      if (this.#head === this.#slices.length) this.#seal();
      const slice = this.#slices[this.#head]!;
      const taken = Math.min(left, slice.length - this.#headOffset);
      writer.bytes(slice, this.#headOffset, this.#headOffset + taken);
      left -= taken;
      this.#headOffset += taken;
      if (this.#headOffset < slice.length) return;
      this.#headOffset = 0;
      this.#head++;
      if (this.#head === this.#slices.length || this.#head >= 64) {
        this.#slices = this.#slices.slice(this.#head);
        this.#head = 0;
      }
    }
  }

  #seal(): void {
    if (this.#tail === undefined || this.#tailFill === this.#tailFrom) return;
    this.#slices.push(this.#tail.subarray(this.#tailFrom, this.#tailFill));
    this.#tailFrom = this.#tailFill;
  }
}
