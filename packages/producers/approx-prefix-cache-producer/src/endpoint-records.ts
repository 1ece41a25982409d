import type { Endpoint, EndpointEvent, PluginHost } from "@pointsman/core";
import type { PrefixIndex } from "./prefix-index.ts";

/** Blocks given back in one go, and the time between two goes: some two milliseconds of work each. */
const reclaimBlocks = 8192;
const reclaimIntervalMs = 50;

/** Keeps the index to endpoints that exist: a slot in the index belongs to the endpoint object it was recorded for. */
export class EndpointRecords {
  readonly #index: PrefixIndex;
  readonly #host: PluginHost;
  /** Endpoints in the index, by id. */
  readonly #followed: Map<string, Endpoint> = new Map();
  /** The same by slot. */
  readonly #slots: (Endpoint | undefined)[] = [];
  #reclaiming = false;

  constructor(index: PrefixIndex, host: PluginHost) {
    this.#index = index;
    this.#host = host;
  }

  /** Has the index follow an endpoint, with this capacity. Returns false for one that is no longer known. */
  follow(endpoint: Endpoint, capacityBlocks: number): boolean {
    const { id, slot } = endpoint;
    if (this.#slots[slot] !== endpoint) {
      // A decision may come after its endpoint has gone.
      if (!this.#host.endpoints().includes(endpoint)) return false;
      this.#dropPredecessors(endpoint);
      while (this.#slots.length <= slot) this.#slots.push(undefined);
      this.#slots[slot] = endpoint;
      this.#followed.set(id, endpoint);
    }
    this.#index.setEndpoint(id, slot, capacityBlocks);
    return true;
  }

  endpointChanged({ type, endpoint }: EndpointEvent): void {
    if (type === "addOrUpdate") this.#dropPredecessors(endpoint);
    else if (this.#slots[endpoint.slot] === endpoint) this.#drop(endpoint);
  }

  /** Drops endpoints that are no longer known. */
  sweep(): void {
    const known = new Set(this.#host.endpoints());
    for (const endpoint of this.#followed.values()) {
      if (!known.has(endpoint)) this.#drop(endpoint);
    }
  }

  /** Drops whoever had the slot or the id of an endpoint before it. */
  #dropPredecessors(endpoint: Endpoint): void {
    const inSlot = this.#slots[endpoint.slot];
    if (inSlot !== undefined && inSlot !== endpoint) this.#drop(inSlot);
    const sameId = this.#followed.get(endpoint.id);
    if (sameId !== undefined && sameId !== endpoint) this.#drop(sameId);
  }

  #drop(endpoint: Endpoint): void {
    this.#slots[endpoint.slot] = undefined;
    this.#followed.delete(endpoint.id);
    this.#index.removeEndpoint(endpoint.id);
    if (!this.#reclaiming) this.#reclaimLater();
  }

  #reclaimLater(): void {
    this.#reclaiming = true;
    this.#host.timers.after(reclaimIntervalMs, () => {
      this.#reclaiming = false;
      if (this.#index.reclaim(reclaimBlocks)) this.#reclaimLater();
    });
  }
}
