import type { Alarm, Clock } from "./clock.ts";

interface PendingCall {
  atMs: number;
  order: number;
  readonly task: () => void;
}

/** A clock that stands still until it is told to run: tests see exact times and need no waiting. */
export class VirtualClock implements Clock {
  #nowMs = 0;
  #order = 0;
  readonly #pending = new Set<PendingCall>();

  nowMs(): number {
    return this.#nowMs;
  }

  unixSeconds(): number {
    return 1_700_000_000 + this.#nowMs / 1000;
  }

  alarm(task: () => void): Alarm {
    const call: PendingCall = { atMs: 0, order: 0, task };
    return {
      set: (atMs) => {
        call.atMs = Math.max(atMs, this.#nowMs);
        this.#order += 1;
        call.order = this.#order;
        this.#pending.add(call);
      },
      clear: () => {
        this.#pending.delete(call);
      },
    };
  }

  /** Moves the time to `untilMs` and makes all calls due until then, in order of their time. */
  runUntil(untilMs: number): void {
    for (let next = this.#next(); next !== undefined && next.atMs <= untilMs; next = this.#next()) this.#make(next);
    this.#nowMs = Math.max(this.#nowMs, untilMs);
  }

  /** Makes pending calls until none is left. Throws after `maxCalls`, since a periodic alarm never ends. */
  runAll(maxCalls = 1_000_000): void {
    for (let calls = 0; calls < maxCalls; calls += 1) {
      const next = this.#next();
      if (next === undefined) return;
      this.#make(next);
    }
    throw new Error(`VirtualClock.runAll: still pending after ${maxCalls} calls`);
  }

  /** Moves the time without making calls: what a stalled machine looks like. */
  stall(ms: number): void {
    this.#nowMs += ms;
  }

  #make(call: PendingCall): void {
    this.#pending.delete(call);
    this.#nowMs = Math.max(this.#nowMs, call.atMs);
    call.task();
  }

  #next(): PendingCall | undefined {
    let first: PendingCall | undefined;
    for (const call of this.#pending) {
      if (first === undefined || call.atMs < first.atMs || (call.atMs === first.atMs && call.order < first.order)) {
        first = call;
      }
    }
    return first;
  }
}
