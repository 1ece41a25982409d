import type { Clock } from "@pointsman/core";

interface Entry<T> {
  readonly value: T;
  readonly untilMs: number;
}

/** Values that are kept for a time. Beyond the limit, the one that was set longest ago goes. */
export class TtlCache<T> {
  readonly #limit: number;
  readonly #clock: Clock;
  readonly #entries = new Map<string, Entry<T>>();

  constructor(limit: number, clock: Clock) {
    this.#limit = limit;
    this.#clock = clock;
  }

  get size(): number {
    return this.#entries.size;
  }

  get(key: string): T | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    if (this.#clock.now() < entry.untilMs) return entry.value;
    this.#entries.delete(key);
    return undefined;
  }

  set(key: string, value: T, keepMs: number): void {
    this.#entries.delete(key);
    this.#entries.set(key, { value, untilMs: this.#clock.now() + keepMs });
    if (this.#entries.size <= this.#limit) return;
    const [oldest] = this.#entries.keys();
    if (oldest !== undefined) this.#entries.delete(oldest);
  }

  delete(key: string): void {
    this.#entries.delete(key);
  }
}
