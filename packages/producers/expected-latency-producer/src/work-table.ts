import type { PoolModel } from "./pool-model.ts";

/** Time in which a difference between own count and scraped count is averaged out. */
const foreignMemoryMs = 2000;
/** An engine that says it has more requests is not believed. */
const maxRequests = 1e6;

type Column = Exclude<
  keyof WorkTable,
  "add" | "move" | "present" | "pendingTokens" | "contextTokens" | "backlogMs" | "scraped"
>;

/** What stands in the row of an endpoint of which nothing is known, by column. */
const emptyRow: Readonly<Record<Column, number>> = {
  queued: 0,
  queuedMs: 0,
  queuedTokens: 0,
  headSinceMs: 0,
  decoding: 0,
  promptTokens: 0,
  foreign: 0,
  foreignWaiting: 0,
  scrapedAtMs: Number.POSITIVE_INFINITY,
  newTokens: 0,
  usualPresent: 0,
  usualContextTokens: 0,
  stretch: 1,
  prefillFactor: 1,
  stepFactor: 1,
  cacheTrust: 1,
  dueMs: Number.NEGATIVE_INFINITY,
};
// The type says which names there are: Object.keys knows strings only.
const columns = Object.keys(emptyRow) as readonly Column[];

/**
 * The numbers of endpoints that each decision asks for, a column for each number and a row for each endpoint: so a decision
 * over many endpoints reads a few arrays from one end to the other. Columns are replaced when rows are added: none is kept
 * by those who use them.
 */
export class WorkTable {
  /** Own requests without a first token: their number, */
  queued: Float64Array = new Float64Array(0);
  /** what their prompts cost at usual speed, */
  queuedMs: Float64Array = new Float64Array(0);
  /** and their tokens that are not cached. */
  queuedTokens: Float64Array = new Float64Array(0);
  /** Since when the oldest of them can be computed. */
  headSinceMs: Float64Array = new Float64Array(0);
  /** Own requests that decode, and the tokens of their prompts. */
  decoding: Float64Array = new Float64Array(0);
  promptTokens: Float64Array = new Float64Array(0);
  /** Requests of others, scraped count less own count, averaged over time; those of them that wait; when it was followed. */
  foreign: Float64Array = new Float64Array(0);
  foreignWaiting: Float64Array = new Float64Array(0);
  scrapedAtMs: Float64Array = new Float64Array(0);
  /** Prompt tokens sent there that no endpoint held, the longer ago the less: what later requests will go there for. */
  newTokens: Float64Array = new Float64Array(0);
  /** Requests and context on average over the last half minute. */
  usualPresent: Float64Array = new Float64Array(0);
  usualContextTokens: Float64Array = new Float64Array(0);
  /** How much longer answers take because prompts are computed in between. */
  stretch: Float64Array = new Float64Array(0);
  /** Factors on the pool's times for prompts and for steps. */
  prefillFactor: Float64Array = new Float64Array(0);
  stepFactor: Float64Array = new Float64Array(0);
  /** Share of the tokens expected in the cache that were there. */
  cacheTrust: Float64Array = new Float64Array(0);
  /** When the endpoint's record has to follow the time. */
  dueMs: Float64Array = new Float64Array(0);

  readonly #free: number[] = [];
  #rows = 0;

  /** Adds an endpoint on which nothing is, and returns its row. O(1) on average. */
  add(): number {
    const row = this.#free.pop() ?? this.#rows++;
    if (row === this.queued.length) this.#grow(Math.max(1, 2 * row));
    for (const column of columns) this[column][row] = emptyRow[column];
    return row;
  }

  /** Takes the endpoint of a row out of this table, into another one. Returns its row there. */
  move(row: number, to: WorkTable): number {
    const added = to.add();
    for (const column of columns) to[column][added] = this[column][row]!;
    this.#free.push(row);
    return added;
  }

  /** Requests on the endpoint, those of others included. */
  present(row: number): number {
    return this.queued[row]! + this.decoding[row]! + this.foreign[row]!;
  }

  /** Prompt tokens on their way into the cache. */
  pendingTokens(row: number, model: PoolModel): number {
    return this.queuedTokens[row]! + this.foreignWaiting[row]! * model.meanPromptTokens;
  }

  /** Tokens of the requests that decode: of their prompts, and as much of their answers as there is on average. */
  contextTokens(row: number, model: PoolModel): number {
    const foreign = this.foreign[row]! - this.foreignWaiting[row]!;
    return (
      this.promptTokens[row]! +
      foreign * model.meanPromptTokens +
      (this.decoding[row]! + foreign) * model.halfAnswerTokens
    );
  }

  /** Milliseconds until the prompts that are there are computed. */
  backlogMs(row: number, model: PoolModel, nowMs: number): number {
    const factor = this.prefillFactor[row]!;
    const foreignMs = this.foreignWaiting[row]! * model.meanPrefillMs * factor;
    if (this.queued[row] === 0) return foreignMs;
    return foreignMs + lateOrLeftMs(this.queuedMs[row]! * factor, this.headSinceMs[row]!, nowMs);
  }

  /** Compares the engine's own count of requests with what was sent from here. Numbers that are no counts are passed over. */
  scraped(row: number, running: number, waiting: number, nowMs: number): void {
    const total = running + waiting;
    if (!(running >= 0 && waiting >= 0 && total <= maxRequests)) return;
    const difference = total - this.queued[row]! - this.decoding[row]!;
    const elapsedMs = Math.max(0, nowMs - this.scrapedAtMs[row]!);
    this.scrapedAtMs[row] = nowMs;
    const before = this.foreign[row]!;
    const followed = before + (elapsedMs / (foreignMemoryMs + elapsedMs)) * (Math.max(-1, difference) - before);
    // A count that is late with our own requests is below ours now and then; less than nobody is nobody.
    const foreign = Math.max(0, followed);
    this.foreign[row] = foreign;
    this.foreignWaiting[row] = total === 0 ? 0 : (foreign * waiting) / total;
  }

  #grow(rows: number): void {
    for (const column of columns) {
      const grown = new Float64Array(rows);
      grown.set(this[column]);
      this[column] = grown;
    }
  }
}

/**
 * Milliseconds until work is done that takes so long and could begin then. What is late is expected to take as long again
 * as it is late already: a stalled endpoint looks worse each moment.
 */
export function lateOrLeftMs(workMs: number, sinceMs: number, nowMs: number): number {
  return Math.abs(workMs - Math.max(0, nowMs - sinceMs));
}
