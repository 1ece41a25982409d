import type { Http2Limits } from "./http2-limits.ts";
import { TokenBucket } from "./token-bucket.ts";

/** Resets, and frames without effect, that one finished RPC makes up for. */
const perFinish = 100;

/** Counts what a peer may do often, but not without end. Each method gives false when it is too much. */
export class FloodGuard {
  readonly #clock: () => number;
  readonly #resets: TokenBucket;
  readonly #settings: TokenBucket;
  readonly #pings: TokenBucket;
  readonly #idleFrames: TokenBucket;

  constructor(limits: Http2Limits, clock: () => number) {
    const nowMs = clock();
    this.#clock = clock;
    this.#resets = new TokenBucket(limits.resetBurst, limits.resetsPerSecond, nowMs);
    this.#settings = new TokenBucket(limits.settingsBurst, limits.settingsPerSecond, nowMs);
    this.#pings = new TokenBucket(limits.pingBurst, limits.pingsPerSecond, nowMs);
    this.#idleFrames = new TokenBucket(limits.idleFrameBurst, limits.idleFramesPerSecond, nowMs);
  }

  /** A stream ended, by the peer or for its fault, before it was answered. */
  reset(): boolean {
    return this.#resets.take(this.#clock);
  }

  /** An RPC ended with a status: its client may have sent more in the meantime. `byService` is progress. */
  finished(byService: boolean): void {
    this.#idleFrames.give(perFinish);
    if (byService) this.#resets.give(perFinish);
  }

  settings(): boolean {
    return this.#settings.take(this.#clock);
  }

  ping(): boolean {
    return this.#pings.take(this.#clock);
  }

  /** A frame that had no effect. */
  idleFrame(): boolean {
    return this.#idleFrames.take(this.#clock);
  }
}
