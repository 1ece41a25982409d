/**
 * Measures how unevenly requests are spread over servers: standard deviation over mean of the number of requests that
 * are at each server, averaged over time.
 */
export class ImbalanceMeter {
  readonly #present: number[];
  #weightedSum = 0;
  #measuredMs = 0;
  #sinceMs = 0;
  #measures = false;

  constructor(servers: number) {
    this.#present = new Array<number>(servers).fill(0);
  }

  /** Mean over the time measured; 0 when there was none. */
  get imbalance(): number {
    return this.#measuredMs === 0 ? 0 : this.#weightedSum / this.#measuredMs;
  }

  /** Starts or ends measuring. Time in which no server has a request does not count. */
  measure(nowMs: number, measures: boolean): void {
    this.#account(nowMs);
    this.#measures = measures;
  }

  /** Notes that a server has one request more (1) or less (-1). */
  change(nowMs: number, server: number, by: 1 | -1): void {
    this.#account(nowMs);
    this.#present[server]! += by;
  }

  #account(nowMs: number): void {
    const passedMs = nowMs - this.#sinceMs;
    this.#sinceMs = nowMs;
    if (!this.#measures || passedMs <= 0) return;
    const mean = this.#present.reduce((sum, count) => sum + count, 0) / this.#present.length;
    if (mean === 0) return;
    const variance = this.#present.reduce((sum, count) => sum + (count - mean) ** 2, 0) / this.#present.length;
    this.#weightedSum += (Math.sqrt(variance) / mean) * passedMs;
    this.#measuredMs += passedMs;
  }
}
