import { type RpcEnd, rpcStatus } from "./rpc-transport.ts";

/** How an RPC ends whose message would go beyond {@link PartialMessages}. */
export const partialMessagesFull: RpcEnd = {
  code: rpcStatus.resourceExhausted,
  message: "the connection has too many bytes of messages that are not complete",
};

/** Memory that the messages of one connection take while they are not complete. */
export class PartialMessages {
  readonly #maxBytes: number;
  #bytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** What is taken at the moment. */
  get byteCount(): number {
    return this.#bytes;
  }

  /** Takes memory; false, and nothing is taken, when there is not so much left. */
  take(byteCount: number): boolean {
    if (this.#bytes + byteCount > this.#maxBytes) return false;
    this.#bytes += byteCount;
    return true;
  }

  give(byteCount: number): void {
    this.#bytes -= byteCount;
  }
}
