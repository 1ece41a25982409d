import type { FrameWriter } from "./frame-writer.ts";
import type { Http2Call } from "./http2-call.ts";
import { defaultWindowBytes, maxFrameBytes, maxWindowBytes } from "./http2-protocol.ts";
import { OutputQueue } from "./output-queue.ts";

const prefixBytes = 5;

/**
 * Sends what the peer's windows and the socket's backlog allow, and queues the rest per stream. Streams that wait for the
 * connection take turns, one frame each.
 */
export class SendScheduler {
  readonly #writer: FrameWriter;
  readonly #maxBacklogBytes: number;
  readonly #onSent: (call: Http2Call) => void;
  #windowBytes = defaultWindowBytes;
  #initialWindowBytes = defaultWindowBytes;
  #maxFrameBytes = maxFrameBytes;
  /** First of the ring of streams that have bytes and window, and wait for the connection. */
  #next: Http2Call | undefined;
  /** Bytes in the queues of all streams. */
  queuedBytes = 0;

  /** `onSent` hears of each stream whose bytes and end are all with the writer. */
  constructor(writer: FrameWriter, maxBacklogBytes: number, onSent: (call: Http2Call) => void) {
    this.#writer = writer;
    this.#maxBacklogBytes = maxBacklogBytes;
    this.#onSent = onSent;
  }

  /** The window that a new stream starts with. */
  get initialWindowBytes(): number {
    return this.#initialWindowBytes;
  }

  set peerMaxFrameBytes(byteCount: number) {
    // Larger frames would let one stream keep the others waiting.
    this.#maxFrameBytes = Math.min(byteCount, 4 * maxFrameBytes);
  }

  /** One gRPC message of `length` bytes in all. */
  message(call: Http2Call, slices: readonly Uint8Array[], length: number): void {
    let left = length + prefixBytes;
    let index = -1;
    let offset = 0;
    if (call.queuedBytes === 0 && this.#next === undefined) {
      while (left > 0) {
        const frameBytes = this.#allowed(call, left);
        if (frameBytes < (index < 0 ? prefixBytes : 1)) break;
        this.#take(call, frameBytes);
        left -= frameBytes;
        let room = frameBytes;
        if (index < 0) {
          this.#writer.prefix(length);
          room -= prefixBytes;
          index = 0;
        }
        while (room > 0) {
          const slice = slices[index]!;
          const taken = Math.min(room, slice.length - offset);
          if (taken > 0) this.#writer.bytes(slice, offset, offset + taken);
          room -= taken;
          offset += taken;
          if (offset === slice.length) {
            index++;
            offset = 0;
          }
        }
      }
      if (left === 0) return;
    }
    call.queue ??= new OutputQueue();
    if (index < 0) {
      call.queue.pushPrefix(length);
      index = 0;
    }
    for (; index < slices.length; index++) {
      const slice = slices[index]!;
      call.queue.push(slice, offset, slice.length);
      offset = 0;
    }
    this.#queued(call, left);
  }

  /** Bytes that are no gRPC message. */
  raw(call: Http2Call, bytes: Uint8Array): void {
    call.queue ??= new OutputQueue();
    call.queue.push(bytes, 0, bytes.length);
    this.#queued(call, bytes.length);
  }

  /** Ends the stream after what is queued: with trailers, or with an empty DATA frame. */
  end(call: Http2Call, trailers: Buffer | "data"): void {
    call.ending = trailers;
    if (call.queuedBytes === 0) this.#sendEnd(call);
  }

  /** The peer allows more on this stream. False when that is more than there may be. */
  streamWindow(call: Http2Call, byteCount: number): boolean {
    if (call.sendWindowBytes + byteCount > maxWindowBytes) return false;
    call.sendWindowBytes += byteCount;
    if (call.queuedBytes > 0) this.#queued(call, 0);
    return true;
  }

  connectionWindow(byteCount: number): boolean {
    if (this.#windowBytes + byteCount > maxWindowBytes) return false;
    this.#windowBytes += byteCount;
    this.pump();
    return true;
  }

  /** The peer changes the window that streams start with, and with it that of the open streams. */
  initialWindow(byteCount: number, calls: Iterable<Http2Call>): boolean {
    const change = byteCount - this.#initialWindowBytes;
    this.#initialWindowBytes = byteCount;
    if (change === 0) return true;
    for (const call of calls) {
      if (call.sendWindowBytes + change > maxWindowBytes) return false;
      call.sendWindowBytes += change;
      if (change > 0 && call.queuedBytes > 0 && call.sendWindowBytes > 0) this.#link(call);
    }
    this.pump();
    return true;
  }

  /** Lets waiting streams send, in turns. */
  pump(): void {
    for (let call = this.#next; call !== undefined; call = this.#next) {
      const frameBytes = this.#allowed(call, call.queuedBytes);
      if (frameBytes > 0) this.#sendQueued(call, frameBytes);
      else if (call.sendWindowBytes > 0) return;
      if (call.queuedBytes > 0 && call.sendWindowBytes > 0) this.#next = call.nextReady;
      else this.#unlink(call);
      if (call.queuedBytes === 0 && call.ending !== undefined) this.#sendEnd(call);
    }
  }

  /** Drops what a stream has queued. */
  forget(call: Http2Call): void {
    this.#unlink(call);
    if (call.queue === undefined) return;
    this.queuedBytes -= call.queue.byteCount;
    call.queue = undefined;
  }

  #queued(call: Http2Call, added: number): void {
    this.queuedBytes += added;
    if (call.sendWindowBytes <= 0) return;
    this.#link(call);
    this.pump();
  }

  #allowed(call: Http2Call, wanted: number): number {
    if (this.#writer.backlogBytes >= this.#maxBacklogBytes) return 0;
    return Math.min(wanted, call.sendWindowBytes, this.#windowBytes, this.#maxFrameBytes);
  }

  #take(call: Http2Call, frameBytes: number): void {
    call.sendWindowBytes -= frameBytes;
    this.#windowBytes -= frameBytes;
    this.#writer.data(call.id, frameBytes, this.#maxFrameBytes);
  }

  #sendQueued(call: Http2Call, frameBytes: number): void {
    this.#take(call, frameBytes);
    this.queuedBytes -= frameBytes;
    call.queue!.moveTo(this.#writer, frameBytes);
    call.outputMoved();
  }

  #sendEnd(call: Http2Call): void {
    const { ending } = call;
    call.ending = undefined;
    if (ending === "data") this.#writer.endData(call.id);
    else if (ending !== undefined) this.#writer.headers(call.id, ending, true);
    this.#onSent(call);
  }

  #link(call: Http2Call): void {
    if (call.nextReady !== undefined) return;
    const next = this.#next;
    if (next === undefined) {
      call.nextReady = call;
      call.previousReady = call;
      this.#next = call;
      return;
    }
    const last = next.previousReady!;
    last.nextReady = call;
    call.previousReady = last;
    call.nextReady = next;
    next.previousReady = call;
  }

  #unlink(call: Http2Call): void {
    const next = call.nextReady;
    if (next === undefined) return;
    const previous = call.previousReady!;
    call.nextReady = undefined;
    call.previousReady = undefined;
    if (next === call) {
      this.#next = undefined;
      return;
    }
    previous.nextReady = next;
    next.previousReady = previous;
    if (this.#next === call) this.#next = next;
  }
}
