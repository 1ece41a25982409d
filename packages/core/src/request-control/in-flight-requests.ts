import type { SchedulingResult } from "../plugin/scheduling-plugins.ts";
import type { InferenceRequest } from "../request.ts";

/** A routed request whose answer is not complete. */
export interface InFlightRequest {
  readonly request: InferenceRequest;
  readonly result: SchedulingResult;
  /** Monotonic time of the decision, milliseconds. */
  readonly routedAtMs: number;
  /**
   * Takes the request back from its model server: the client gets a 429, or its connection is cut where
   * the answer has begun. The response plugins get their last event with the cause `evicted` before this returns.
   *
   * Returns false, and changes nothing, once the answer is complete or the request has ended. Must not be called from a
   * hook of the same request.
   */
  evict(): boolean;
}

/**
 * The requests that are at model servers, for those who decide which of them must make room. Each request has an entry
 * of its own, whatever id its client gave it: repeated ids do not mix.
 *
 * Iterates in the order of the decisions, over the requests that are there when the iteration starts. Cost: one place
 * linked and unlinked for each request.
 *
 * A list of links and not a Set: a table that a Set has outgrown points to the next one. Once such a table is in V8's old
 * generation, all later ones follow, each with the requests that were in it, and nothing of them is freed before the
 * whole heap is marked.
 */
export class InFlightRequests implements Iterable<InFlightRequest> {
  #first: InFlightPlace | undefined;
  #last: InFlightPlace | undefined;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  [Symbol.iterator](): Iterator<InFlightRequest> {
    const entries: InFlightRequest[] = [];
    for (let place = this.#first; place !== undefined; place = place.next) entries.push(place.entry);
    return entries.values();
  }

  /** The exchange of the request calls it once the request is routed. */
  add(entry: InFlightRequest): InFlightPlace {
    const place: InFlightPlace = { entry, isOpen: true, previous: this.#last, next: undefined };
    if (this.#last === undefined) this.#first = place;
    else this.#last.next = place;
    this.#last = place;
    this.#size++;
    return place;
  }

  /** The exchange of the request calls it once the answer is complete or the request has ended. */
  delete(place: InFlightPlace): void {
    if (!place.isOpen) return;
    const { previous, next } = place;
    if (previous === undefined) this.#first = next;
    else previous.next = next;
    if (next === undefined) this.#last = previous;
    else next.previous = previous;
    place.isOpen = false;
    place.previous = undefined;
    place.next = undefined;
    this.#size--;
  }
}

/** The place of a request among those in flight; only {@link InFlightRequests} changes it. */
export interface InFlightPlace {
  readonly entry: InFlightRequest;
  isOpen: boolean;
  previous: InFlightPlace | undefined;
  next: InFlightPlace | undefined;
}
