/** Allows a burst and then a rate. Costs a clock call only when the burst is used up. */
export class TokenBucket {
  readonly #burst: number;
  readonly #perSecond: number;
  #tokens: number;
  #filledMs: number;

  constructor(burst: number, perSecond: number, nowMs: number) {
    this.#burst = burst;
    this.#perSecond = perSecond;
    this.#tokens = burst;
    this.#filledMs = nowMs;
  }

  /** Takes one token; false when there is none. */
  take(clock: () => number): boolean {
    if (this.#tokens < 1) {
      const nowMs = clock();
      this.give(((nowMs - this.#filledMs) / 1000) * this.#perSecond);
      this.#filledMs = nowMs;
      if (this.#tokens < 1) return false;
    }
    this.#tokens--;
    return true;
  }

  /** Takes tokens whether they are there or not; {@link take} gives false until what is owed has come. */
  owe(tokens: number): void {
    this.#tokens -= tokens;
  }

  /** Puts tokens back, up to the burst. */
  give(tokens: number): void {
    this.#tokens = Math.min(this.#burst, this.#tokens + tokens);
  }
}
