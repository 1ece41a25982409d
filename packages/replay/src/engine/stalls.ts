/** A stretch of time in which a server does nothing. */
export interface Stall {
  readonly atMs: number;
  readonly forMs: number;
}

/** Stretches of time in which no work gets done. */
export class Stalls {
  /** Sorted and apart from each other, the next one last. */
  readonly #ahead: { readonly fromMs: number; toMs: number }[] = [];

  constructor(stalls: readonly Stall[]) {
    for (const { atMs, forMs } of [...stalls].sort((a, b) => a.atMs - b.atMs)) {
      const last = this.#ahead.at(-1);
      if (last !== undefined && atMs <= last.toMs) last.toMs = Math.max(last.toMs, atMs + forMs);
      else this.#ahead.push({ fromMs: atMs, toMs: atMs + forMs });
    }
    this.#ahead.reverse();
  }

  /** When `workMs` of work that starts at `startMs` is done. Start times never fall from call to call. */
  endOf(startMs: number, workMs: number): number {
    let nowMs = startMs;
    let leftMs = workMs;
    for (let next = this.#ahead.at(-1); next !== undefined; next = this.#ahead.at(-1)) {
      if (next.fromMs > nowMs) {
        if (nowMs + leftMs <= next.fromMs) break;
        leftMs -= next.fromMs - nowMs;
      }
      nowMs = Math.max(nowMs, next.toMs);
      this.#ahead.pop();
    }
    return nowMs + leftMs;
  }
}
