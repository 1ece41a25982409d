import type { Socket } from "node:net";
import { emptyTableUpdate } from "./hpack-encoder.ts";
import { frameFlag, frameHeaderBytes, frameType } from "./http2-protocol.ts";
import { type SlabPool, slabBytes } from "./slab-pool.ts";

/** Larger slices are written as they are; smaller ones are cheaper to copy than to hand to the system one by one. */
const copyBytes = 8192;

/**
 * Collects the frames of one turn and writes them to the socket at once. Small pieces are gathered in a slab of the pool;
 * large slices go out uncopied.
 */
export class FrameWriter {
  readonly #socket: Socket;
  readonly #pool: SlabPool;
  readonly #onProgress: () => void;
  #slab: Buffer | undefined;
  /** Slabs that are full and still being written, and the number of the write that takes the last of each. */
  readonly #full: Buffer[] = [];
  readonly #fullUntil: number[] = [];
  #from = 0;
  #fill = 0;
  readonly #pieces: Uint8Array[] = [];
  #pieceBytes = 0;
  /** Writes that were handed to the socket, and those that it has finished, which it does in order. */
  #begun = 0;
  #finished = 0;
  #firstBlock = true;
  /** The DATA frame that ends at `#fill`, which a message of the same stream may extend. */
  #openData = 0;
  #openDataAt = 0;
  #openDataBytes = 0;
  readonly #onWritten = (error?: Error | null): void => this.#written(error ?? undefined);

  constructor(socket: Socket, pool: SlabPool, onProgress: () => void) {
    this.#socket = socket;
    this.#pool = pool;
    this.#onProgress = onProgress;
  }

  /** Bytes that are not with the system yet. */
  get backlogBytes(): number {
    return this.#socket.writableLength + this.#pieceBytes + this.#fill - this.#from;
  }

  get isWriting(): boolean {
    return this.#begun > this.#finished;
  }

  headers(streamId: number, block: Buffer, endStream: boolean): void {
    const extra = this.#firstBlock ? 1 : 0;
    const flags = frameFlag.endHeaders | (endStream ? frameFlag.endStream : 0);
    this.#head(block.length + extra, frameType.headers, flags, streamId);
    if (extra === 1) {
      this.#firstBlock = false;
      this.#reserve(1)[this.#fill++] = emptyTableUpdate;
    }
    this.bytes(block, 0, block.length);
  }

  /**
   * Starts or extends a DATA frame by `byteCount` bytes, which {@link prefix} and {@link bytes} then give. `maxBytes` is
   * the largest frame the peer takes.
   */
  data(streamId: number, byteCount: number, maxBytes: number): void {
    if (this.#openData === streamId && this.#openDataBytes + byteCount <= maxBytes) {
      this.#openDataBytes += byteCount;
      const slab = this.#slab!;
      slab[this.#openDataAt] = this.#openDataBytes >>> 16;
      slab[this.#openDataAt + 1] = this.#openDataBytes >>> 8;
      slab[this.#openDataAt + 2] = this.#openDataBytes;
      return;
    }
    this.#head(byteCount, frameType.data, 0, streamId);
    this.#openData = streamId;
    this.#openDataAt = this.#fill - frameHeaderBytes;
    this.#openDataBytes = byteCount;
  }

  /** A DATA frame without bytes that ends the stream. */
  endData(streamId: number): void {
    this.#head(0, frameType.data, frameFlag.endStream, streamId);
  }

  /** The prefix of an uncompressed gRPC message. */
  prefix(messageBytes: number): void {
    const slab = this.#reserve(5);
    slab[this.#fill] = 0;
    slab.writeUInt32BE(messageBytes, this.#fill + 1);
    this.#fill += 5;
  }

  bytes(slice: Uint8Array, start: number, end: number): void {
    const count = end - start;
    if (count > copyBytes) {
      this.#seal();
      this.#pieces.push(count === slice.length ? slice : slice.subarray(start, end));
      this.#pieceBytes += count;
      return;
    }
    const slab = this.#reserve(count);
    const fill = this.#fill;
    if (count < 48) for (let at = 0; at < count; at++) slab[fill + at] = slice[start + at]!;
    else slab.set(count === slice.length ? slice : slice.subarray(start, end), fill);
    this.#fill = fill + count;
  }

  settings(pairs: readonly (readonly [id: number, value: number])[]): void {
    this.#head(pairs.length * 6, frameType.settings, 0, 0);
    const slab = this.#reserve(pairs.length * 6);
    for (const [id, value] of pairs) {
      slab.writeUInt16BE(id, this.#fill);
      slab.writeUInt32BE(value, this.#fill + 2);
      this.#fill += 6;
    }
  }

  settingsAck(): void {
    this.#head(0, frameType.settings, frameFlag.ack, 0);
  }

  ping(payload: Uint8Array, start: number, ack: boolean): void {
    this.#head(8, frameType.ping, ack ? frameFlag.ack : 0, 0);
    this.bytes(payload, start, start + 8);
  }

  reset(streamId: number, code: number): void {
    this.#head(4, frameType.rstStream, 0, streamId);
    this.#number(code);
  }

  windowUpdate(streamId: number, byteCount: number): void {
    this.#head(4, frameType.windowUpdate, 0, streamId);
    this.#number(byteCount);
  }

  goaway(lastStreamId: number, code: number, text: string): void {
    const debug = Buffer.from(text);
    this.#head(8 + debug.length, frameType.goaway, 0, 0);
    this.#number(lastStreamId);
    this.#number(code);
    this.bytes(debug, 0, debug.length);
  }

  /** Hands everything to the socket. */
  flush(): void {
    this.#seal();
    const { length } = this.#pieces;
    if (length === 0) return;
    const socket = this.#socket;
    if (!socket.destroyed && socket.writable) {
      this.#begun++;
      if (length === 1) socket.write(this.#pieces[0]!, this.#onWritten);
      else {
        socket.cork();
        for (let at = 0; at < length - 1; at++) socket.write(this.#pieces[at]!);
        socket.write(this.#pieces[length - 1]!, this.#onWritten);
        socket.uncork();
      }
    }
    this.#pieces.length = 0;
    this.#pieceBytes = 0;
  }

  #written(error: Error | undefined): void {
    this.#finished++;
    if (error !== undefined) {
      // What becomes of the bytes is not known: the slabs are not used again.
      this.#full.length = 0;
      this.#fullUntil.length = 0;
      this.#slab = undefined;
      this.#from = 0;
      this.#fill = 0;
      this.#openData = 0;
      return;
    }
    // A peer that is busy and slow may never let all writes be finished at once.
    while (this.#full.length > 0 && this.#fullUntil[0]! <= this.#finished) {
      this.#pool.give(this.#full.shift()!);
      this.#fullUntil.shift();
    }
    if (!this.isWriting && this.#slab !== undefined && this.#pieces.length === 0 && this.#from === this.#fill) {
      this.#pool.give(this.#slab);
      this.#slab = undefined;
      this.#from = 0;
      this.#fill = 0;
    }
    this.#onProgress();
  }

  #head(length: number, type: number, flags: number, streamId: number): void {
    const slab = this.#reserve(frameHeaderBytes);
    const at = this.#fill;
    slab[at] = length >>> 16;
    slab[at + 1] = length >>> 8;
    slab[at + 2] = length;
    slab[at + 3] = type;
    slab[at + 4] = flags;
    slab[at + 5] = streamId >>> 24;
    slab[at + 6] = streamId >>> 16;
    slab[at + 7] = streamId >>> 8;
    slab[at + 8] = streamId;
    this.#fill = at + frameHeaderBytes;
    this.#openData = 0;
  }

  #number(value: number): void {
    this.#reserve(4).writeUInt32BE(value, this.#fill);
    this.#fill += 4;
  }

  /** A slab with room for `count` bytes at `#fill`. */
  #reserve(count: number): Buffer {
    const slab = this.#slab;
    if (slab !== undefined && slabBytes - this.#fill >= count) return slab;
    this.#seal();
    if (slab !== undefined) {
      this.#full.push(slab);
      this.#fullUntil.push(this.#pieces.length > 0 ? this.#begun + 1 : this.#begun);
    }
    this.#from = 0;
    this.#fill = 0;
    this.#slab = this.#pool.take();
    return this.#slab;
  }

  /** Makes what the slab has gathered the next piece. */
  #seal(): void {
    this.#openData = 0;
    if (this.#slab === undefined || this.#fill === this.#from) return;
    this.#pieces.push(this.#slab.subarray(this.#from, this.#fill));
    this.#pieceBytes += this.#fill - this.#from;
    this.#from = this.#fill;
  }
}
