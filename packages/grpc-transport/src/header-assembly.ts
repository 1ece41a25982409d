import { errorCode, frameFlag } from "./http2-protocol.ts";

/** Puts a header block together from HEADERS and its CONTINUATION frames. */
export class HeaderAssembly {
  readonly #maxBytes: number;
  readonly #maxContinuations: number;
  /** The stream whose block is not complete; 0 for none. */
  streamId = 0;
  /** Whether the HEADERS frame ends the stream. */
  endStream = false;
  /** Whether its priority fields name the stream itself. */
  selfDependent = false;
  /** When the block began. */
  sinceMs = 0;
  bytes: Buffer = Buffer.alloc(0);
  start = 0;
  end = 0;
  #continuations = 0;
  #collected: Buffer[] = [];
  #collectedBytes = 0;

  constructor(maxBytes: number, maxContinuations: number) {
    this.#maxBytes = maxBytes;
    this.#maxContinuations = maxContinuations;
  }

  /**
   * A HEADERS frame. The block's part is `bytes[start..end)` of this object afterwards. Gives the error code of a frame in
   * which padding or priority do not fit. Source: RFC 9113 sections 4.2 and 6.2.
   */
  headers(flags: number, streamId: number, bytes: Buffer, start: number, end: number): number | undefined {
    let from = start;
    let to = end;
    if ((flags & frameFlag.padded) !== 0) {
      if (from >= to) return errorCode.frameSizeError;
      to -= bytes[from++]!;
    }
    this.selfDependent = false;
    if ((flags & frameFlag.priority) !== 0) {
      if (end - from < 5) return errorCode.frameSizeError;
      if (to - from < 5) return errorCode.protocolError;
      this.selfDependent = (bytes.readUInt32BE(from) & 0x7fffffff) === streamId;
      from += 5;
    }
    if (from > to) return errorCode.protocolError;
    this.endStream = (flags & frameFlag.endStream) !== 0;
    this.bytes = bytes;
    this.start = from;
    this.end = to;
    return undefined;
  }

  /** Keeps the block of the last {@link headers} until its last CONTINUATION. */
  keep(streamId: number, nowMs: number): void {
    this.streamId = streamId;
    this.sinceMs = nowMs;
    this.#continuations = 0;
    this.#collected = [Buffer.from(this.bytes.subarray(this.start, this.end))];
    this.#collectedBytes = this.end - this.start;
  }

  /** A CONTINUATION frame; false when the block is over a limit. */
  continuation(bytes: Buffer, start: number, end: number): boolean {
    this.#collectedBytes += end - start;
    if (++this.#continuations > this.#maxContinuations || this.#collectedBytes > this.#maxBytes) return false;
    this.#collected.push(Buffer.from(bytes.subarray(start, end)));
    return true;
  }

  /** Ends the kept block: it is `bytes[start..end)` then. */
  finish(): void {
    this.bytes = Buffer.concat(this.#collected, this.#collectedBytes);
    this.start = 0;
    this.end = this.#collectedBytes;
    this.#collected = [];
    this.streamId = 0;
  }
}
