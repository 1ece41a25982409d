import type { Clock } from "../clock.ts";
import type { DecisionTrace } from "./decision-record.ts";

/** The last decisions, in a ring of fixed size. */
export class DecisionLog {
  readonly #ring: (DecisionTrace | undefined)[];
  readonly #clock: Clock;
  readonly #summarizes: boolean;
  #sequence = 0;

  /** `capacity` 0 keeps nothing. `summarizes` keeps what the scores of large pools come to, for those who trace. */
  constructor(capacity: number, clock: Clock, summarizes: boolean = false) {
    this.#ring = new Array<DecisionTrace | undefined>(capacity).fill(undefined);
    this.#clock = clock;
    this.#summarizes = summarizes;
  }

  /** Starts a record, or gives `undefined` when none are kept. */
  begin(): DecisionTrace | undefined {
    if (this.#ring.length === 0) return undefined;
    const trace: DecisionTrace = {
      sequence: ++this.#sequence,
      summarizes: this.#summarizes,
      requestId: "",
      atWallMs: this.#clock.wallTime(),
      model: "",
      targetModel: "",
      priority: 0,
      fairnessId: "",
      promptTokens: undefined,
      knownEndpoints: 0,
      stages: [],
      profiles: [],
      primaryProfile: undefined,
      prefillProfile: undefined,
      signalEndpoints: [],
      signals: [],
      outcome: undefined,
      durationMs: 0,
    };
    this.#ring[trace.sequence % this.#ring.length] = trace;
    return trace;
  }

  /** Newest first, at most `limit`, only those that `accept` takes. */
  recent(limit: number, accept: (trace: DecisionTrace) => boolean = () => true): DecisionTrace[] {
    const found: DecisionTrace[] = [];
    const size = this.#ring.length;
    for (let back = 0; back < size && found.length < limit; back++) {
      const trace = this.#ring[(((this.#sequence - back) % size) + size) % size];
      if (trace?.outcome !== undefined && accept(trace)) found.push(trace);
    }
    return found;
  }
}
