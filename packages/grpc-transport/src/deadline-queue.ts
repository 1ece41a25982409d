/** Something that happens once, unless it is removed before. */
export interface Deadline {
  deadlineMs: number;
  /** Place in the queue, kept by the queue; -1 when it is not in one. */
  deadlineSlot: number;
  /** The time has come. Called after removal. */
  deadlinePassed(): void;
}

/** The longest delay that Node's timers take; they turn a longer one into 1 ms. */
export const maxDelayMs = 0x7fffffff;

/** Deadlines on one timer: a binary heap, so that adding and removing costs no timer of its own. */
export class DeadlineQueue {
  readonly #heap: Deadline[] = [];
  readonly #clock: () => number;
  #timer: NodeJS.Timeout | undefined;
  #timerMs = Number.POSITIVE_INFINITY;
  readonly #onTimer = (): void => this.#fire();

  constructor(clock: () => number) {
    this.#clock = clock;
  }

  get size(): number {
    return this.#heap.length;
  }

  add(item: Deadline): void {
    this.#heap.push(item);
    this.#up(this.#heap.length - 1, item);
    if (item.deadlineMs < this.#timerMs) this.#arm(item.deadlineMs);
  }

  /** Does nothing when the item is not in the queue. */
  remove(item: Deadline): void {
    const slot = item.deadlineSlot;
    if (slot < 0) return;
    item.deadlineSlot = -1;
    const last = this.#heap.pop()!;
    if (last === item) return;
    if (slot > 0 && this.#heap[(slot - 1) >> 1]!.deadlineMs > last.deadlineMs) this.#up(slot, last);
    else this.#down(slot, last);
  }

  /** Forgets everything and stops the timer. */
  clear(): void {
    for (const item of this.#heap.splice(0)) item.deadlineSlot = -1;
    clearTimeout(this.#timer);
    this.#timerMs = Number.POSITIVE_INFINITY;
  }

  #fire(): void {
    this.#timerMs = Number.POSITIVE_INFINITY;
    const nowMs = this.#clock();
    for (let first = this.#heap[0]; first !== undefined; first = this.#heap[0]) {
      if (first.deadlineMs > nowMs) {
        this.#arm(first.deadlineMs);
        return;
      }
      this.remove(first);
      first.deadlinePassed();
    }
  }

  #arm(atMs: number): void {
    clearTimeout(this.#timer);
    this.#timerMs = atMs;
    this.#timer = setTimeout(this.#onTimer, Math.min(maxDelayMs, Math.max(1, Math.ceil(atMs - this.#clock()))));
    this.#timer.unref();
  }

  #up(from: number, item: Deadline): void {
    let slot = from;
    while (slot > 0) {
      const above = (slot - 1) >> 1;
      const parent = this.#heap[above]!;
      if (parent.deadlineMs <= item.deadlineMs) break;
      this.#place(slot, parent);
      slot = above;
    }
    this.#place(slot, item);
  }

  #down(from: number, item: Deadline): void {
    let slot = from;
    for (;;) {
      let below = slot * 2 + 1;
      if (below >= this.#heap.length) break;
      if (below + 1 < this.#heap.length && this.#heap[below + 1]!.deadlineMs < this.#heap[below]!.deadlineMs) below++;
      const child = this.#heap[below]!;
      if (child.deadlineMs >= item.deadlineMs) break;
      this.#place(slot, child);
      slot = below;
    }
    this.#place(slot, item);
  }

  #place(slot: number, item: Deadline): void {
    this.#heap[slot] = item;
    item.deadlineSlot = slot;
  }
}
