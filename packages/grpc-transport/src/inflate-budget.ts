import { type RpcEnd, rpcStatus } from "./rpc-transport.ts";
import { TokenBucket } from "./token-bucket.ts";

/** How an RPC ends whose message may not be decompressed because of {@link InflateBudget}. */
export const inflateBudgetSpent: RpcEnd = {
  code: rpcStatus.resourceExhausted,
  message: "the connection has sent too many bytes of compressed messages, counted decompressed",
};

/** What a message counts at least: to set up its decompression takes as long as some KiB of it. */
const leastBytes = 4096;

/** Bytes that one connection may have decompressed, at once and per second: few bytes sent can mean a thousand times as many. */
export class InflateBudget {
  readonly #bytes: TokenBucket;
  readonly #clock: () => number;

  constructor(burstBytes: number, bytesPerSecond: number, clock: () => number) {
    this.#bytes = new TokenBucket(burstBytes, bytesPerSecond, clock());
    this.#clock = clock;
  }

  /** Begins a message; false when it may not be decompressed. Its size is not known: {@link spend} counts it afterwards, with what came of it. */
  begin(): boolean {
    return this.#bytes.take(this.#clock);
  }

  spend(bytes: number): void {
    this.#bytes.owe(Math.max(leastBytes, bytes));
  }
}
