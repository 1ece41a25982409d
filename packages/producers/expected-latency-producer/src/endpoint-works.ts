import type { Endpoint } from "@pointsman/core";
import { idHash } from "./agreed-endpoint.ts";
import { EndpointWork } from "./endpoint-work.ts";
import type { PoolModel } from "./pool-model.ts";

/** The records of a list of endpoints, aligned with it. */
export interface AlignedWorks {
  readonly endpoints: readonly Endpoint[];
  readonly works: readonly EndpointWork[];
  /** Of {@link idHash}. */
  readonly idHashes: Uint32Array;
}

/** The record of each endpoint that is known. One that goes loses its record; when it comes back, it starts anew. */
export class EndpointWorks {
  readonly #model: PoolModel;
  readonly #known: () => readonly Endpoint[];
  readonly #byId: Map<string, EndpointWork> = new Map();
  /** For the list of the last decision: lists are the same until endpoints come or go. */
  #last: AlignedWorks | undefined;

  /** `known` tells which endpoints there are. */
  constructor(model: PoolModel, known: () => readonly Endpoint[]) {
    this.#model = model;
    this.#known = known;
  }

  get size(): number {
    return this.#byId.size;
  }

  of(endpoint: Endpoint): EndpointWork {
    let work = this.#byId.get(endpoint.id);
    if (work === undefined) {
      work = new EndpointWork(this.#model);
      // One that has gone is not kept: nobody would drop it.
      if (this.#known().includes(endpoint)) this.#byId.set(endpoint.id, work);
    }
    return work;
  }

  /** Compares lists and does no more for one like the one before. */
  ofAll(endpoints: readonly Endpoint[]): AlignedWorks {
    const last = this.#last;
    if (last !== undefined && isSame(last.endpoints, endpoints)) return last;
    this.#last = {
      endpoints: [...endpoints],
      works: endpoints.map((endpoint) => this.of(endpoint)),
      idHashes: Uint32Array.from(endpoints, ({ id }) => idHash(id)),
    };
    return this.#last;
  }

  delete(endpoint: Endpoint): void {
    this.#byId.get(endpoint.id)?.speed.forget();
    this.#byId.delete(endpoint.id);
    this.#last = undefined;
  }

  entries(): IterableIterator<[id: string, work: EndpointWork]> {
    return this.#byId.entries();
  }
}

function isSame(one: readonly Endpoint[], other: readonly Endpoint[]): boolean {
  if (one.length !== other.length) return false;
  for (let i = 0; i < one.length; i++) if (one[i] !== other[i]) return false;
  return true;
}
