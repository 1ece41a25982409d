export interface BackOffOptions {
  readonly firstMs: number;
  readonly mostMs: number;
  /** Uniform in [0, 1). */
  readonly random: () => number;
}

/** Waiting times that double up to a limit, each shortened by up to half so that replicas do not come back together. */
export class BackOff {
  readonly #options: BackOffOptions;
  #nextMs: number;

  constructor(options: BackOffOptions) {
    this.#options = options;
    this.#nextMs = options.firstMs;
  }

  /** The next waiting time before it is shortened. */
  get longestNextMs(): number {
    return this.#nextMs;
  }

  /** The next waiting time. */
  next(): number {
    const { mostMs, random } = this.#options;
    const waitMs = this.#nextMs;
    this.#nextMs = Math.min(mostMs, waitMs * 2);
    return waitMs * (1 - random() / 2);
  }

  /** Starts over after a success. */
  reset(): void {
    this.#nextMs = this.#options.firstMs;
  }
}
