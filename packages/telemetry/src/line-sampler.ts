const windowMs = 1000;
const firstLines = 100;
const everyLine = 100;
/** Messages are constants of the program; beyond this many in a second, further ones are not counted and all written. */
const maxMessages = 4096;

/** Decides which of many equal lines are written. Source: spec ext-proc section 10.8. */
export class LineSampler {
  readonly #now: () => number;
  readonly #counts = new Map<string, number>();
  #windowStartMs = Number.NEGATIVE_INFINITY;

  constructor(now: () => number) {
    this.#now = now;
  }

  /** Whether this line is one of the first 100 with its level and message in this second, or a hundredth after them. */
  wants(level: string, message: string): boolean {
    const nowMs = this.#now();
    if (nowMs - this.#windowStartMs >= windowMs) {
      this.#windowStartMs = nowMs;
      this.#counts.clear();
    }
    const key = `${level} ${message}`;
    const count = (this.#counts.get(key) ?? 0) + 1;
    if (count > 1 || this.#counts.size < maxMessages) this.#counts.set(key, count);
    return count <= firstLines || (count - firstLines) % everyLine === 0;
  }
}
