import type { EndpointMetadata, EndpointSink } from "@pointsman/core";

/**
 * Stands between discovery plugins and the datastore, so that one can take over from another: what the new one finds first
 * is collected, and then replaces what the one before found, in one step.
 */
export class DiscoverySink {
  readonly #store: EndpointSink;
  #active: object | undefined;
  /** Ids the active one has found. */
  #found: Set<string> = new Set();

  constructor(store: EndpointSink) {
    this.#store = store;
  }

  /**
   * A sink for one discovery plugin. It collects until {@link Incoming.activate} is called, and is deaf once another one is
   * active.
   */
  incoming(): Incoming {
    const token = {};
    let isCollecting = true;
    const collected = new Map<string, EndpointMetadata>();
    return {
      upsert: (metadata) => {
        if (this.#active === token) {
          this.#found.add(metadata.id);
          this.#store.upsert(metadata);
        } else if (isCollecting) collected.set(metadata.id, metadata);
      },
      remove: (id) => {
        if (this.#active === token) {
          this.#found.delete(id);
          this.#store.remove(id);
        } else if (isCollecting) collected.delete(id);
      },
      activate: () => {
        this.#active = token;
        isCollecting = false;
        for (const id of this.#found) if (!collected.has(id)) this.#store.remove(id);
        this.#found = new Set(collected.keys());
        for (const metadata of collected.values()) this.#store.upsert(metadata);
        collected.clear();
      },
    };
  }
}

export interface Incoming extends EndpointSink {
  activate(): void;
}
