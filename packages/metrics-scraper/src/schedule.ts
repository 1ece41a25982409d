import { type Clock, maxDelayMs, type Timers } from "@pointsman/core";

/** Work that a {@link Schedule} runs. One object takes one place in it. */
export interface Scheduled {
  /** Time to run at, milliseconds of the schedule's clock. The schedule writes it. */
  dueMs: number;
  /** Place in the schedule, -1 outside. The schedule writes it. */
  place: number;
  /** Must not throw. The item is out of the schedule when this is called and may put itself back. */
  runDue(nowMs: number): void;
}

/** Items run in one go; the event loop gets a turn before the next ones. */
const maxItemsPerWake = 32;
/** Items due within this time run together, so that many items cost few wake-ups. */
const coalesceMs = 2;

/**
 * Runs items at their times with a single timer: a binary heap ordered by `dueMs`.
 *
 * Cost: O(log n) to set, move or remove an item; one timer, whatever the number of items.
 */
export class Schedule {
  readonly #clock: Clock;
  readonly #timers: Pick<Timers, "after">;
  readonly #heap: Scheduled[] = [];
  #timer: { stop(): void } | undefined;
  #timerAtMs: number = Number.POSITIVE_INFINITY;
  #running = false;

  constructor(clock: Clock, timers: Pick<Timers, "after">) {
    this.#clock = clock;
    this.#timers = timers;
  }

  get size(): number {
    return this.#heap.length;
  }

  /** Puts an item in, or moves it, to run at `dueMs`; at once when that has passed. */
  set(item: Scheduled, dueMs: number): void {
    const earlier = item.place < 0 || dueMs < item.dueMs;
    item.dueMs = dueMs;
    if (item.place < 0) {
      item.place = this.#heap.length;
      this.#heap.push(item);
    }
    if (earlier) this.#siftUp(item);
    else this.#siftDown(item);
    this.#arm();
  }

  /** Takes an item out; one that is not in changes nothing. */
  remove(item: Scheduled): void {
    const { place } = item;
    if (place < 0) return;
    item.place = -1;
    const last = this.#heap.pop()!;
    if (last === item) return;
    this.#heap[place] = last;
    last.place = place;
    this.#siftUp(last);
    this.#siftDown(last);
  }

  /** Takes all items out and stops the timer. */
  clear(): void {
    for (const item of this.#heap) item.place = -1;
    this.#heap.length = 0;
    this.#timer?.stop();
    this.#timer = undefined;
    this.#timerAtMs = Number.POSITIVE_INFINITY;
  }

  #arm(): void {
    const first = this.#heap[0];
    if (this.#running || first === undefined || first.dueMs >= this.#timerAtMs) return;
    this.#timer?.stop();
    this.#timerAtMs = first.dueMs;
    const delayMs = Math.max(0, Math.ceil(first.dueMs - this.#clock.now()));
    // A wake-up that finds nothing due waits on.
    this.#timer = this.#timers.after(Math.min(delayMs, maxDelayMs), this.#wake);
  }

  readonly #wake = (): void => {
    this.#timer = undefined;
    this.#timerAtMs = Number.POSITIVE_INFINITY;
    this.#running = true;
    try {
      const nowMs = this.#clock.now();
      for (let ran = 0; ran < maxItemsPerWake; ran++) {
        const first = this.#heap[0];
        if (first === undefined || first.dueMs > nowMs + coalesceMs) break;
        this.remove(first);
        first.runDue(nowMs);
      }
    } finally {
      this.#running = false;
      this.#arm();
    }
  };

  #siftUp(item: Scheduled): void {
    const heap = this.#heap;
    let at = item.place;
    while (at > 0) {
      const parentAt = (at - 1) >> 1;
      const parent = heap[parentAt]!;
      if (parent.dueMs <= item.dueMs) break;
      heap[at] = parent;
      parent.place = at;
      at = parentAt;
    }
    heap[at] = item;
    item.place = at;
  }

  #siftDown(item: Scheduled): void {
    const heap = this.#heap;
    const size = heap.length;
    let at = item.place;
    for (;;) {
      let childAt = 2 * at + 1;
      if (childAt >= size) break;
      if (childAt + 1 < size && heap[childAt + 1]!.dueMs < heap[childAt]!.dueMs) childAt++;
      const child = heap[childAt]!;
      if (child.dueMs >= item.dueMs) break;
      heap[at] = child;
      child.place = at;
      at = childAt;
    }
    heap[at] = item;
    item.place = at;
  }
}
