import { type Clock, errorText, type Logger, type Timers } from "@pointsman/core";

interface Event {
  readonly atMs: number;
  /** Order among events of one time: the one scheduled first runs first. */
  readonly serial: number;
  run: (() => void) | undefined;
}

/** Wall time at virtual time zero: an arbitrary moment, the same in every run. */
const epochMs = Date.UTC(2026, 0, 1);

/** Time that passes from event to event, as fast as they can be handled. Nothing in it waits. */
export class VirtualTime implements Clock {
  /** A binary heap by time and serial. */
  readonly #heap: Event[] = [];
  #nowMs = 0;
  #serial = 0;

  now(): number {
    return this.#nowMs;
  }

  wallTime(): number {
    return epochMs + this.#nowMs;
  }

  /** Runs `run` at a time; one that has passed means as soon as possible. */
  at(atMs: number, run: () => void): { stop(): void } {
    const event: Event = { atMs: Math.max(atMs, this.#nowMs), serial: this.#serial++, run };
    this.#push(event);
    return {
      stop: () => {
        event.run = undefined;
      },
    };
  }

  /** Timers of one owner; `owner` is its name in the log. */
  timers(owner: string, logger: Logger): Timers {
    const guarded = (run: () => void) => (): void => {
      try {
        run();
      } catch (thrown: unknown) {
        logger.error({ owner, problem: errorText(thrown) }, "timer callback failed");
      }
    };
    return {
      after: (delayMs, run) => this.at(this.#nowMs + delayMs, guarded(run)),
      every: (intervalMs, run) => {
        let stopped = false;
        let next: { stop(): void } | undefined;
        const guardedRun = guarded(run);
        const repeat = (): void => {
          guardedRun();
          if (!stopped) next = this.at(this.#nowMs + intervalMs, repeat);
        };
        next = this.at(this.#nowMs + intervalMs, repeat);
        return {
          stop: () => {
            stopped = true;
            next?.stop();
          },
        };
      },
    };
  }

  /** Advances to the next event and runs it. Returns false when there is none. */
  step(): boolean {
    for (;;) {
      const event = this.#pop();
      if (event === undefined) return false;
      const { run } = event;
      if (run === undefined) continue;
      this.#nowMs = event.atMs;
      run();
      return true;
    }
  }

  #push(event: Event): void {
    const heap = this.#heap;
    let index = heap.length;
    heap.push(event);
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (!isBefore(event, heap[parent]!)) break;
      heap[index] = heap[parent]!;
      index = parent;
    }
    heap[index] = event;
  }

  #pop(): Event | undefined {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (first === undefined || last === undefined || heap.length === 0) return first;
    let index = 0;
    for (;;) {
      let child = 2 * index + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child++;
      if (!isBefore(heap[child]!, last)) break;
      heap[index] = heap[child]!;
      index = child;
    }
    heap[index] = last;
    return first;
  }
}

function isBefore(a: Event, b: Event): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.serial < b.serial);
}
