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
 * Iterates in the order of the decisions. Cost: one entry added and removed for each request.
 */
export class InFlightRequests implements Iterable<InFlightRequest> {
  readonly #open = new Set<InFlightRequest>();

  get size(): number {
    return this.#open.size;
  }

  [Symbol.iterator](): Iterator<InFlightRequest> {
    return this.#open.values();
  }

  /** The exchange of the request calls it once the request is routed. */
  add(entry: InFlightRequest): void {
    this.#open.add(entry);
  }

  /** The exchange of the request calls it once the answer is complete or the request has ended. */
  delete(entry: InFlightRequest): void {
    this.#open.delete(entry);
  }
}
