import { clientPreface, errorCode, frameFlag, frameHeaderBytes, frameType, maxFrameBytes } from "./http2-protocol.ts";
import type { Http2Violation } from "./http2-violation.ts";

/** Takes the frames of one connection. Byte ranges are valid during the call. */
export interface FrameSink {
  /** A whole frame other than DATA. */
  frame(type: number, flags: number, streamId: number, bytes: Buffer, start: number, end: number): void;
  /** A DATA frame begins; `frameBytes` counts padding. */
  dataStart(flags: number, streamId: number, frameBytes: number): void;
  /** Some of its bytes, without padding. */
  dataBytes(bytes: Buffer, start: number, end: number): void;
  dataEnd(): void;
  /** The connection has to end. */
  connectionError(code: number, violation: Http2Violation, text: string): void;
}

/** Cuts what a socket reads into frames. DATA is handed on as it comes; other frames are small and come whole. */
export class FrameReader {
  readonly #sink: FrameSink;
  readonly #head: Buffer = Buffer.allocUnsafe(frameHeaderBytes);
  #headFilled = 0;
  #prefaceRead = 0;
  #type = 0;
  #flags = 0;
  #streamId = 0;
  /** Bytes of a frame other than DATA that came in parts; undefined between frames. */
  #payload: Buffer | undefined;
  #payloadFilled = 0;
  #inData = false;
  #wantsPadLength = false;
  #dataLeft = 0;
  #padLeft = 0;
  /** Set to ignore whatever comes. */
  stopped = false;

  constructor(sink: FrameSink) {
    this.#sink = sink;
  }

  /** A frame other than DATA that has not come whole: another object for each frame. */
  get unfinished(): object | undefined {
    return this.#payload;
  }

  /** Takes `chunk[0..end)`. */
  read(chunk: Buffer, end: number): void {
    let at = 0;
    for (; this.#prefaceRead < clientPreface.length && at < end && !this.stopped; at++) {
      if (chunk[at] === clientPreface[this.#prefaceRead]) this.#prefaceRead++;
      else this.#sink.connectionError(errorCode.protocolError, "bad-preface", "not the HTTP/2 connection preface");
    }
    while (at < end && !this.stopped) {
      if (this.#inData) at = this.#readData(chunk, at, end);
      else if (this.#payload !== undefined) at = this.#readPayload(this.#payload, chunk, at, end);
      else if (this.#headFilled === 0 && end - at >= frameHeaderBytes) {
        at = this.#begin(chunk, at, chunk, at + frameHeaderBytes, end);
      } else {
        const taken = Math.min(frameHeaderBytes - this.#headFilled, end - at);
        chunk.copy(this.#head, this.#headFilled, at, at + taken);
        this.#headFilled += taken;
        at += taken;
        if (this.#headFilled < frameHeaderBytes) return;
        this.#headFilled = 0;
        at = this.#begin(this.#head, 0, chunk, at, end);
      }
    }
  }

  /** A frame whose head is `head[headAt..]` and whose payload starts at `chunk[at]`. Gives where reading goes on. */
  #begin(head: Buffer, headAt: number, chunk: Buffer, at: number, end: number): number {
    const length = (head[headAt]! << 16) | (head[headAt + 1]! << 8) | head[headAt + 2]!;
    const type = head[headAt + 3]!;
    const flags = head[headAt + 4]!;
    const streamId = head.readUInt32BE(headAt + 5) & 0x7fffffff;
    if (length > maxFrameBytes) {
      this.#sink.connectionError(errorCode.frameSizeError, "frame-size", `frame of ${length} bytes`);
      return end;
    }
    if (type !== frameType.data) {
      if (end - at >= length) {
        this.#sink.frame(type, flags, streamId, chunk, at, at + length);
        return at + length;
      }
      this.#type = type;
      this.#flags = flags;
      this.#streamId = streamId;
      this.#payload = Buffer.allocUnsafe(length);
      this.#payloadFilled = 0;
      return at;
    }
    this.#wantsPadLength = (flags & frameFlag.padded) !== 0;
    if (this.#wantsPadLength && length === 0) {
      this.#sink.connectionError(errorCode.frameSizeError, "frame-size", "padded DATA without a pad length");
      return end;
    }
    this.#dataLeft = length;
    this.#padLeft = 0;
    this.#inData = true;
    this.#sink.dataStart(flags, streamId, length);
    return length === 0 || end > at ? this.#readData(chunk, at, end) : at;
  }

  #readPayload(payload: Buffer, chunk: Buffer, at: number, end: number): number {
    const taken = Math.min(payload.length - this.#payloadFilled, end - at);
    chunk.copy(payload, this.#payloadFilled, at, at + taken);
    this.#payloadFilled += taken;
    if (this.#payloadFilled === payload.length) {
      this.#payload = undefined;
      this.#sink.frame(this.#type, this.#flags, this.#streamId, payload, 0, payload.length);
    }
    return at + taken;
  }

  #readData(chunk: Buffer, from: number, end: number): number {
    let at = from;
    if (this.stopped) return end;
    if (this.#wantsPadLength) {
      this.#wantsPadLength = false;
      this.#padLeft = chunk[at++]!;
      this.#dataLeft -= 1 + this.#padLeft;
      if (this.#dataLeft < 0) {
        this.#sink.connectionError(errorCode.protocolError, "frame-protocol", "padding longer than its frame");
        return end;
      }
    }
    if (this.#dataLeft > 0) {
      const taken = Math.min(this.#dataLeft, end - at);
      if (taken > 0) {
        this.#sink.dataBytes(chunk, at, at + taken);
        this.#dataLeft -= taken;
        at += taken;
      }
      if (this.#dataLeft > 0) return at;
    }
    const skipped = Math.min(this.#padLeft, end - at);
    this.#padLeft -= skipped;
    at += skipped;
    if (this.#padLeft === 0) {
      this.#inData = false;
      if (!this.stopped) this.#sink.dataEnd();
    }
    return at;
  }
}
