import type { Endpoint, EndpointEvent } from "@pointsman/core";

/** Requests sent to one endpoint whose answers have not ended. */
interface Running {
  readonly endpoint: Endpoint;
  requests: number;
  /** How many of them have each objective for time per output token, milliseconds. */
  readonly tpotSlosMs: Map<number, number>;
  tightestTpotSloMs: number | undefined;
}

/** One request's place; pass it to {@link RunningRequests.end}. */
export interface RunningRequest {
  readonly running: Running;
  readonly tpotSloMs: number | undefined;
  ended: boolean;
}

/**
 * Counts the requests that run on each endpoint, with their objectives.
 *
 * An endpoint is the object: one that comes back under its id starts at 0, and what ends later counts for nobody.
 */
export class RunningRequests {
  readonly #knownEndpoints: () => readonly Endpoint[];
  /** By endpoint id. */
  readonly #running: Map<string, Running> = new Map();

  constructor(knownEndpoints: () => readonly Endpoint[]) {
    this.#knownEndpoints = knownEndpoints;
  }

  /** Requests running on an endpoint. */
  count(endpoint: Endpoint): number {
    return this.#find(endpoint)?.requests ?? 0;
  }

  /** The tightest objective for time per output token among them, milliseconds; `undefined` when none has one. */
  tightestTpotSloMs(endpoint: Endpoint): number | undefined {
    return this.#find(endpoint)?.tightestTpotSloMs;
  }

  /** Counts a request on an endpoint. `tpotSloMs` is its objective, if it has one. */
  begin(endpoint: Endpoint, tpotSloMs: number | undefined): RunningRequest {
    const running = this.#find(endpoint) ?? this.#start(endpoint);
    running.requests++;
    if (tpotSloMs !== undefined) {
      running.tpotSlosMs.set(tpotSloMs, (running.tpotSlosMs.get(tpotSloMs) ?? 0) + 1);
      running.tightestTpotSloMs = Math.min(tpotSloMs, running.tightestTpotSloMs ?? tpotSloMs);
    }
    return { running, tpotSloMs, ended: false };
  }

  /** Ends a request. A second time changes nothing. */
  end(request: RunningRequest): void {
    if (request.ended) return;
    request.ended = true;
    const { running, tpotSloMs } = request;
    running.requests--;
    if (running.requests === 0 && this.#find(running.endpoint) === running) this.#running.delete(running.endpoint.id);
    if (tpotSloMs === undefined) return;
    const left = (running.tpotSlosMs.get(tpotSloMs) ?? 0) - 1;
    if (left > 0) {
      running.tpotSlosMs.set(tpotSloMs, left);
      return;
    }
    running.tpotSlosMs.delete(tpotSloMs);
    if (tpotSloMs === running.tightestTpotSloMs) running.tightestTpotSloMs = tightestOf(running.tpotSlosMs.keys());
  }

  endpointChanged({ type, endpoint }: EndpointEvent): void {
    const known = this.#running.get(endpoint.id);
    if (known !== undefined && (type === "delete") === (known.endpoint === endpoint)) this.#running.delete(endpoint.id);
  }

  /** Endpoints with running requests. */
  *counts(): IterableIterator<readonly [id: string, requests: number]> {
    for (const [id, { requests }] of this.#running) yield [id, requests];
  }

  #find(endpoint: Endpoint): Running | undefined {
    const known = this.#running.get(endpoint.id);
    return known?.endpoint === endpoint ? known : undefined;
  }

  #start(endpoint: Endpoint): Running {
    const running: Running = { endpoint, requests: 0, tpotSlosMs: new Map(), tightestTpotSloMs: undefined };
    // A decision may come after its endpoint has gone: it is counted where nobody looks.
    if (this.#knownEndpoints().includes(endpoint)) this.#running.set(endpoint.id, running);
    return running;
  }
}

function tightestOf(slosMs: Iterable<number>): number | undefined {
  let tightest: number | undefined;
  for (const sloMs of slosMs) {
    if (tightest === undefined || sloMs < tightest) tightest = sloMs;
  }
  return tightest;
}
