import type {
  EndpointMetadata,
  EndpointSink,
  InferenceModelRewrite,
  InferenceObjective,
  RequestPolicySink,
} from "@pointsman/core";

/**
 * Stands between discovery plugins and the stores, so that one can take over from another: what the new one finds first
 * is collected, and then replaces what the one before found, in one step.
 */
export class DiscoverySink {
  readonly #store: EndpointSink;
  readonly #policies: RequestPolicySink | undefined;
  #active: object | undefined;
  /** Ids the active one has found. */
  #found: Set<string> = new Set();

  constructor(store: EndpointSink, policies: RequestPolicySink | undefined) {
    this.#store = store;
    this.#policies = policies;
  }

  /**
   * Sinks for one discovery plugin. They collect until {@link Incoming.activate} is called, and are deaf once another one is
   * active.
   */
  incoming(): Incoming {
    const token = {};
    let isCollecting = true;
    const collected = new Map<string, EndpointMetadata>();
    let objectives: readonly InferenceObjective[] = [];
    let rewrites: readonly InferenceModelRewrite[] = [];
    const policies: RequestPolicySink = {
      setObjectives: (list) => {
        if (this.#active === token) this.#policies?.setObjectives(list);
        else objectives = list;
      },
      setModelRewrites: (list) => {
        if (this.#active === token) this.#policies?.setModelRewrites(list);
        else rewrites = list;
      },
    };
    return {
      ...(this.#policies === undefined ? {} : { policies }),
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
        this.#policies?.setObjectives(objectives);
        this.#policies?.setModelRewrites(rewrites);
      },
    };
  }
}

export interface Incoming extends EndpointSink {
  /** Where objectives and rewrites go; absent where nobody keeps them. */
  readonly policies?: RequestPolicySink;
  activate(): void;
}
