import { grpcHeaderBytes, lengthAt } from "./grpc-frame.ts";

/** Longest message that is read unless told otherwise: what a gRPC client accepts by default. Bytes. */
export const defaultMaxMessageBytes: number = 4 * 1024 * 1024;

const noBytes = new Uint8Array(0);
const smallestStore = 1024;

/**
 * Finds the messages of a gRPC body that arrives in pieces, however it is cut.
 *
 * A message within one piece is given as a view of it; one that is cut is put together, in memory that grows with what
 * has arrived, not with what is announced. Compressed messages and those above the limit are passed over. A body that
 * is no gRPC is read no further.
 */
export class GrpcFrameReader {
  readonly #take: (message: Uint8Array) => void;
  readonly #maxMessageBytes: number;
  readonly #header = new Uint8Array(grpcHeaderBytes);
  #headerBytes = 0;
  /** Bytes of the message at hand that have not arrived. */
  #missingBytes = 0;
  #passOver = false;
  #store: Uint8Array = noBytes;
  #storedBytes = 0;
  #noGrpc = false;

  /** `take` gets each message in order, while {@link push} runs. It may keep the bytes as long as those pushed live. */
  constructor(take: (message: Uint8Array) => void, maxMessageBytes: number = defaultMaxMessageBytes) {
    this.#take = take;
    this.#maxMessageBytes = maxMessageBytes;
  }

  /** The body was found to be no gRPC. */
  get noGrpc(): boolean {
    return this.#noGrpc;
  }

  /** Bytes of a message that has not arrived whole. */
  get keptBytes(): number {
    return this.#storedBytes;
  }

  /** Passes over the message at hand, if a part of it is kept. */
  letGo(): void {
    if (this.#storedBytes === 0) return;
    this.#passOver = true;
    this.#store = noBytes;
    this.#storedBytes = 0;
  }

  push(bytes: Uint8Array): void {
    let at = 0;
    while (at < bytes.length && !this.#noGrpc) {
      if (this.#headerBytes < grpcHeaderBytes) {
        at = this.#readHeader(bytes, at);
        if (this.#headerBytes < grpcHeaderBytes) return;
        if (this.#missingBytes > 0) continue;
      } else at = this.#readMessage(bytes, at);
      if (this.#missingBytes === 0) this.#complete();
    }
  }

  #readHeader(bytes: Uint8Array, from: number): number {
    let at = from;
    if (this.#headerBytes === 0 && bytes[at]! > 1) {
      this.#noGrpc = true;
      return bytes.length;
    }
    while (at < bytes.length && this.#headerBytes < grpcHeaderBytes) this.#header[this.#headerBytes++] = bytes[at++]!;
    if (this.#headerBytes === grpcHeaderBytes) {
      this.#missingBytes = lengthAt(this.#header, 1);
      this.#passOver = this.#header[0] === 1 || this.#missingBytes > this.#maxMessageBytes;
    }
    return at;
  }

  #readMessage(bytes: Uint8Array, at: number): number {
    const count = Math.min(this.#missingBytes, bytes.length - at);
    const part = bytes.subarray(at, at + count);
    this.#missingBytes -= count;
    if (this.#passOver) return at + count;
    if (this.#storedBytes === 0 && this.#missingBytes === 0) {
      this.#store = part;
      this.#storedBytes = count;
    } else this.#keep(part);
    return at + count;
  }

  #keep(part: Uint8Array): void {
    const bytes = this.#storedBytes + part.length;
    if (bytes > this.#store.length) {
      const announced = bytes + this.#missingBytes;
      const grown = new Uint8Array(Math.min(announced, Math.max(bytes, this.#store.length * 2, smallestStore)));
      grown.set(this.#store.subarray(0, this.#storedBytes));
      this.#store = grown;
    }
    this.#store.set(part, this.#storedBytes);
    this.#storedBytes = bytes;
  }

  #complete(): void {
    const message = this.#store.subarray(0, this.#storedBytes);
    const passOver = this.#passOver;
    this.#headerBytes = 0;
    this.#store = noBytes;
    this.#storedBytes = 0;
    if (!passOver) this.#take(message);
  }
}
