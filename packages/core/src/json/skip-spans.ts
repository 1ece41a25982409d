/** Values shorter than this have no span: reading past them costs little more than looking one up. Bytes. */
export const SHORTEST_SPAN = 128;

/** Spans kept per document. Values beyond are read past byte by byte, with the same results. */
const MAX_SPANS = 65_536;

/** Steps a lookup goes forward from the last one before it searches the whole list. */
const NEAR_STEPS = 4;

/**
 * The ends of long values, so that walking over a document does not read them again.
 * Shape: start and end of one value after the other, ordered by start; the end of a string with escapes is its bitwise
 * complement.
 */
export class SkipSpans {
  readonly #ints: readonly number[];
  /** The first entry that starts at or after the value looked up last. Walks go forward, so the next one is near. */
  #near = 0;

  constructor(ints: readonly number[]) {
    this.#ints = ints;
  }

  /**
   * Finds the recorded end of the value that starts at `start`; undefined when it has no span.
   * Cost: O(1) for walks in order, else O(log spans).
   */
  endOf(start: number): number | undefined {
    const ints = this.#ints;
    let at = this.#near;
    const nearEnd = Math.min(at + NEAR_STEPS * 2, ints.length);
    while (at < nearEnd && ints[at]! < start) at += 2;
    // Left of `at` all start before the value, unless the lookup went backwards or far ahead.
    if ((at > 0 && ints[at - 2]! >= start) || (at === nearEnd && at < ints.length)) at = firstFrom(ints, start);
    this.#near = at;
    return ints[at] === start ? ints[at + 1] : undefined;
  }
}

/** Returns where the first entry is that starts at or after `start`. */
function firstFrom(ints: readonly number[], start: number): number {
  let low = 0;
  let high = ints.length >> 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (ints[middle * 2]! < start) low = middle + 1;
    else high = middle;
  }
  return low * 2;
}

/**
 * Collects the spans of one scan. A container takes its place when it opens and gives it back when it turns out short,
 * together with the places of everything inside it, so the list stays ordered by start. Reused from scan to scan.
 */
export class SpanRecorder {
  // Plain arrays: for the few entries of a usual body they are made faster than typed ones.
  readonly #ints: number[] = [];
  #count = 0;

  reset(): void {
    this.#count = 0;
  }

  /** Takes a place for a container that opens. Returns it, -1 when all places are taken. */
  open(start: number): number {
    const place = this.#count;
    if (place === MAX_SPANS * 2) return -1;
    this.#ints[place] = start;
    this.#ints[place + 1] = 0;
    this.#count = place + 2;
    return place;
  }

  /** Ends the container that took `place`. */
  close(place: number, end: number): void {
    if (place < 0) return;
    if (end - this.#ints[place]! < SHORTEST_SPAN) this.#count = place;
    else this.#ints[place + 1] = end;
  }

  /** Adds a value without members. `end` is complemented for a string with escapes. */
  addLeaf(start: number, end: number): void {
    const place = this.open(start);
    if (place >= 0) this.#ints[place + 1] = end;
  }

  /** Copies what was recorded. */
  take(): SkipSpans {
    return new SkipSpans(this.#ints.slice(0, this.#count));
  }
}
