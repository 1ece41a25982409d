/**
 * The LoRA adapters in GPU memory. At most `slots` are resident; an adapter that requests are running on stays, the
 * others make room, least recently used first.
 */
export class AdapterSlots {
  readonly #slots: number;
  /** Resident adapters and their running requests, least recently used first. */
  readonly #resident = new Map<string, number>();
  readonly #waiting = new Map<string, number>();

  constructor(slots: number) {
    this.#slots = slots;
  }

  /** Whether a request may start: its adapter is resident, or there is or can be made room for it. */
  canStart(adapter: string): boolean {
    if (this.#resident.has(adapter) || this.#resident.size < this.#slots) return true;
    for (const running of this.#resident.values()) if (running === 0) return true;
    return false;
  }

  /** Counts a running request; returns true when its adapter has to be loaded. Call only if `canStart`. */
  start(adapter: string): boolean {
    const running = this.#resident.get(adapter);
    if (running !== undefined) {
      this.#resident.delete(adapter);
      this.#resident.set(adapter, running + 1);
      return false;
    }
    if (this.#resident.size >= this.#slots) {
      for (const [candidate, users] of this.#resident) {
        if (users > 0) continue;
        this.#resident.delete(candidate);
        break;
      }
    }
    this.#resident.set(adapter, 1);
    return true;
  }

  finish(adapter: string): void {
    this.#resident.set(adapter, (this.#resident.get(adapter) ?? 1) - 1);
  }

  addWaiting(adapter: string, change: 1 | -1): void {
    const waiting = (this.#waiting.get(adapter) ?? 0) + change;
    if (waiting > 0) this.#waiting.set(adapter, waiting);
    else this.#waiting.delete(adapter);
  }

  resident(): string[] {
    return [...this.#resident.keys()];
  }

  running(): string[] {
    return [...this.#resident].filter(([, requests]) => requests > 0).map(([adapter]) => adapter);
  }

  waiting(): string[] {
    return [...this.#waiting.keys()];
  }
}
