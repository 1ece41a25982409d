import { gunzipSync } from "node:zlib";
import { type InflateBudget, inflateBudgetSpent } from "./inflate-budget.ts";
import { type PartialMessages, partialMessagesFull } from "./partial-messages.ts";
import { type RpcEnd, rpcStatus } from "./rpc-transport.ts";

/** First allocation for a message that spans chunks; grows as bytes come, so that a length alone takes no memory. */
const firstBufferBytes = 131_072;

/**
 * Cuts the bytes of one RPC into messages. Call {@link push} until it gives undefined for the bytes at hand.
 * Messages are copies: what is pushed is valid during the call, and would keep far more memory than the message.
 */
export class GrpcMessageReader {
  readonly #maxBytes: number;
  readonly #inflates: InflateBudget | undefined;
  readonly #partials: PartialMessages;
  #prefixBytes = 0;
  #compressed = 0;
  #length = 0;
  #partial: Buffer | undefined;
  #filled = 0;
  /** Bytes of the last push that were used. */
  used = 0;
  /** Why no further message can be read. */
  failure: RpcEnd | undefined;

  /** `inflates` is there when the request's `grpc-encoding` is gzip. */
  constructor(maxBytes: number, inflates: InflateBudget | undefined, partials: PartialMessages) {
    this.#maxBytes = maxBytes;
    this.#inflates = inflates;
    this.#partials = partials;
  }

  /** A message has begun and is not complete. */
  get isMidMessage(): boolean {
    return this.#prefixBytes > 0;
  }

  /** The next message of `chunk[start..end)`, or undefined when there is none or {@link failure} is set. */
  push(chunk: Buffer, start: number, end: number): Buffer | undefined {
    let at = start;
    if (this.#prefixBytes < 5) {
      if (this.#prefixBytes === 0 && end - at >= 5) {
        this.#compressed = chunk[at]!;
        this.#length = chunk.readUInt32BE(at + 1);
        this.#prefixBytes = 5;
        at += 5;
      } else {
        for (; at < end && this.#prefixBytes < 5; at++) {
          if (this.#prefixBytes === 0) {
            this.#compressed = chunk[at]!;
            this.#length = 0;
          } else this.#length = this.#length * 256 + chunk[at]!;
          this.#prefixBytes++;
        }
        if (this.#prefixBytes < 5) {
          this.used = end - start;
          return undefined;
        }
      }
      if (
        this.#length > this.#maxBytes ||
        this.#compressed > 1 ||
        (this.#compressed === 1 && this.#inflates === undefined)
      ) {
        return this.#refuse();
      }
    }
    const wanted = this.#length;
    let message: Buffer;
    if (this.#partial === undefined && end - at >= wanted) {
      message = Buffer.allocUnsafe(wanted);
      chunk.copy(message, 0, at, at + wanted);
      at += wanted;
    } else {
      const taken = Math.min(wanted - this.#filled, end - at);
      if (taken > 0) {
        const buffer = this.#room(this.#filled + taken);
        if (buffer === undefined) {
          this.failure = partialMessagesFull;
          return undefined;
        }
        chunk.copy(buffer, this.#filled, at, at + taken);
        this.#filled += taken;
        at += taken;
      }
      if (this.#filled < wanted) {
        this.used = at - start;
        return undefined;
      }
      message = this.#partial!;
      this.drop();
    }
    this.#prefixBytes = 0;
    this.used = at - start;
    return this.#compressed === 1 ? this.#inflate(message, this.#inflates!) : message;
  }

  /** Gives up a message that is not complete. Nothing can be read after that. */
  drop(): void {
    if (this.#partial === undefined) return;
    this.#partials.give(this.#partial.length);
    this.#partial = undefined;
    this.#filled = 0;
  }

  /** Memory for so much of the message; undefined when the connection's messages have too much. */
  #room(bytes: number): Buffer | undefined {
    const partial = this.#partial;
    if (partial !== undefined && partial.length >= bytes) return partial;
    const size = Math.min(this.#length, Math.max(firstBufferBytes, bytes, (partial?.length ?? 0) * 2));
    if (!this.#partials.take(size - (partial?.length ?? 0))) return undefined;
    const larger = Buffer.allocUnsafeSlow(size);
    if (partial !== undefined) partial.copy(larger, 0, 0, this.#filled);
    this.#partial = larger;
    return larger;
  }

  #refuse(): undefined {
    if (this.#length > this.#maxBytes) {
      this.failure = {
        code: rpcStatus.resourceExhausted,
        message: `message of ${this.#length} bytes is larger than the limit of ${this.#maxBytes}`,
      };
    } else if (this.#compressed > 1) {
      this.failure = { code: rpcStatus.internal, message: `message flag ${this.#compressed} is not 0 or 1` };
    } else {
      this.failure = { code: rpcStatus.internal, message: "compressed message without grpc-encoding: gzip" };
    }
  }

  #inflate(message: Buffer, budget: InflateBudget): Buffer | undefined {
    if (!budget.begin()) {
      this.failure = inflateBudgetSpent;
      return undefined;
    }
    try {
      const inflated = gunzipSync(message, { maxOutputLength: this.#maxBytes });
      budget.spend(message.length + inflated.length);
      return inflated;
    } catch (error) {
      // How far it came is not known.
      budget.spend(message.length + this.#maxBytes);
      const tooLarge = error instanceof Error && "code" in error && error.code === "ERR_BUFFER_TOO_LARGE";
      this.failure = tooLarge
        ? {
            code: rpcStatus.resourceExhausted,
            message: `message is larger than the limit of ${this.#maxBytes} bytes when decompressed`,
          }
        : { code: rpcStatus.internal, message: "message is not valid gzip" };
      return undefined;
    }
  }
}
