import type { LookupAddress } from "node:dns";

/** Looks a host name up with the system. */
export type SystemLookup = (host: string) => Promise<readonly LookupAddress[]>;

/** What became of a look-up. */
export type NameAnswer = (outcome: readonly LookupAddress[] | Error) => void;

/**
 * Looks up host names for all connections: one name at a time, and each name once for everybody who waits for it.
 *
 * A look-up of the system cannot be ended and holds one of the two threads that the process has for them. Names that
 * nobody answers for would hold both, and other names, those of the built-in proxy's connections too, would wait.
 */
export class NameLookup {
  readonly #system: SystemLookup;
  /** Who waits, by name, in the order in which the names are looked up; the first is under way. */
  readonly #waiting: Map<string, NameAnswer[]> = new Map();
  #working = false;

  constructor(system: SystemLookup) {
    this.#system = system;
  }

  /** Calls `answer` once, later. */
  lookup(host: string, answer: NameAnswer): void {
    const waiting = this.#waiting.get(host);
    if (waiting !== undefined) {
      waiting.push(answer);
      return;
    }
    this.#waiting.set(host, [answer]);
    if (!this.#working) void this.#work();
  }

  async #work(): Promise<void> {
    this.#working = true;
    for (const [host, answers] of this.#waiting) {
      const outcome = await this.#system(host).catch((thrown: unknown) =>
        thrown instanceof Error ? thrown : new Error(String(thrown)),
      );
      // Those who ask from here on start a look-up of their own, at the end of the line.
      this.#waiting.delete(host);
      for (const answer of answers) answer(outcome);
    }
    this.#working = false;
  }
}
