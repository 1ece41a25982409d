import { type Endpoint, slotTableLength } from "@pointsman/core";
import { idHash } from "./agreed-endpoint.ts";
import { EndpointWork } from "./endpoint-work.ts";
import type { Candidates } from "./expected-costs.ts";
import type { PoolModel } from "./pool-model.ts";
import { WorkTable } from "./work-table.ts";

/** The records of a list of endpoints, aligned with it. */
export interface AlignedWorks extends Candidates {
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
  readonly #table: WorkTable = new WorkTable();
  /** For the list of the last decision: lists are the same until endpoints come or go. */
  #last: AlignedWorks | undefined;
  /** Records of endpoints in that list that had gone already: they are in the table for as long as it is the last. */
  #gone: EndpointWork[] = [];

  /** `known` tells which endpoints there are. */
  constructor(model: PoolModel, known: () => readonly Endpoint[]) {
    this.#model = model;
    this.#known = known;
  }

  get size(): number {
    return this.#byId.size;
  }

  /** The record of one endpoint. */
  of(endpoint: Endpoint): EndpointWork {
    const kept = this.#byId.get(endpoint.id);
    if (kept !== undefined) return kept;
    // One that has gone is not kept: nobody would drop it.
    if (!this.#known().includes(endpoint)) return new EndpointWork(this.#model, new WorkTable());
    const work = new EndpointWork(this.#model, this.#table);
    this.#byId.set(endpoint.id, work);
    return work;
  }

  /** Compares lists and does no more for one like the one before. */
  ofAll(endpoints: readonly Endpoint[]): AlignedWorks {
    if (this.#last !== undefined && isSame(this.#last.endpoints, endpoints)) return this.#last;
    this.#dropLast();
    const works = endpoints.map((endpoint) => this.of(endpoint));
    this.#gone = works.filter((work) => work.table !== this.#table);
    for (const work of this.#gone) work.moveTo(this.#table);
    const { length } = endpoints;
    this.#last = {
      endpoints: [...endpoints],
      works,
      idHashes: Uint32Array.from(endpoints, ({ id }) => idHash(id)),
      table: this.#table,
      rows: Uint32Array.from(works, ({ row }) => row),
      slots: Uint32Array.from(endpoints, ({ slot }) => slot),
      slotTableLength: slotTableLength(endpoints),
      cachedTokens: new Float64Array(length),
      sparedTokens: new Float64Array(length),
      capacityTokens: new Float64Array(length),
      usedTokens: new Float64Array(length),
    };
    return this.#last;
  }

  delete(endpoint: Endpoint): void {
    this.#dropLast();
    const work = this.#byId.get(endpoint.id);
    if (work === undefined) return;
    this.#byId.delete(endpoint.id);
    // What is on its way there still ends in its record.
    work.moveTo(new WorkTable());
    work.forgetSpeed();
  }

  #dropLast(): void {
    this.#last = undefined;
    for (const work of this.#gone) work.moveTo(new WorkTable());
    this.#gone = [];
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
