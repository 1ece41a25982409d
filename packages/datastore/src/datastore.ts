import {
  Endpoint,
  type EndpointEvent,
  type EndpointListener,
  type EndpointMetadata,
  type EndpointSink,
  type EndpointSnapshot,
  errorText,
  type Logger,
} from "@pointsman/core";
import { sameMetadata } from "./same-metadata.ts";
import { SlotAllocator } from "./slot-allocator.ts";

/** The pool that the endpoints belong to. */
export interface PoolInfo {
  readonly name: string;
  readonly namespace: string;
  /** Protocol of the model servers, for instance `http` or `kubernetes.io/h2c`; `undefined` outside Kubernetes. */
  readonly appProtocol: string | undefined;
}

export interface DatastoreOptions {
  readonly pool: PoolInfo;
  /** Whether the pool is known from the start, as it is without Kubernetes. Default false. */
  readonly synced?: boolean;
  readonly logger: Logger;
}

/** A listener with the name it has in log lines. */
interface Subscription {
  readonly listener: EndpointListener;
  readonly name: string;
  active: boolean;
}

/**
 * The endpoints known at this moment.
 *
 * Discovery writes through `upsert` and `remove`; everybody else reads `snapshot()`. An endpoint keeps its `Endpoint`
 * object and its slot from its first `upsert` to its `remove`.
 */
export class Datastore implements EndpointSink {
  readonly #endpoints: Map<string, Endpoint> = new Map();
  readonly #slots: SlotAllocator = new SlotAllocator();
  readonly #logger: Logger;
  readonly #subscriptions: Set<Subscription> = new Set();
  readonly #undelivered: { readonly event: EndpointEvent; readonly to: readonly Subscription[] }[] = [];
  #delivering = false;
  #snapshot: EndpointSnapshot | undefined = [];
  #pool: PoolInfo;
  #synced: boolean;

  constructor(options: DatastoreOptions) {
    this.#pool = options.pool;
    this.#synced = options.synced ?? false;
    this.#logger = options.logger;
  }

  get pool(): PoolInfo {
    return this.#pool;
  }

  set pool(pool: PoolInfo) {
    this.#pool = pool;
  }

  /** Whether the pool is known. Readiness depends on it; an empty pool may be synced. */
  get synced(): boolean {
    return this.#synced;
  }

  set synced(synced: boolean) {
    this.#synced = synced;
  }

  /**
   * All endpoints in order of arrival. The array is never changed afterwards; the next change makes a new one.
   * Cost: nothing without a change since the last call, else a copy of the list.
   */
  snapshot(): EndpointSnapshot {
    this.#snapshot ??= [...this.#endpoints.values()];
    return this.#snapshot;
  }

  /** The endpoint with this id; `undefined` when it is not known. */
  get(id: string): Endpoint | undefined {
    return this.#endpoints.get(id);
  }

  /**
   * Adds an endpoint or replaces its metadata; its attribute values and its place in the order stay. Metadata that says
   * what is known already changes nothing and tells nobody.
   */
  upsert(metadata: EndpointMetadata): void {
    const known = this.#endpoints.get(metadata.id);
    if (known === undefined) {
      const endpoint = new Endpoint(this.#slots.take(), metadata);
      this.#endpoints.set(metadata.id, endpoint);
      this.#snapshot = undefined;
      this.#tell({ type: "addOrUpdate", endpoint });
    } else if (!sameMetadata(known.metadata, metadata)) {
      known.update(metadata);
      this.#snapshot = undefined;
      this.#tell({ type: "addOrUpdate", endpoint: known });
    }
  }

  /** Removes an endpoint. An unknown id changes nothing. */
  remove(id: string): void {
    const endpoint = this.#endpoints.get(id);
    if (endpoint === undefined) return;
    this.#endpoints.delete(id);
    this.#slots.release(endpoint.slot);
    this.#snapshot = undefined;
    this.#tell({ type: "delete", endpoint });
  }

  /** Removes all endpoints and forgets that the pool is synced: what a deleted pool calls for. */
  clear(): void {
    this.#synced = false;
    for (const id of [...this.#endpoints.keys()]) this.remove(id);
  }

  /**
   * Tells `listener` of every endpoint known at this moment and of each change from here on; returns what ends that.
   *
   * A listener sees `addOrUpdate` once the snapshot holds the change, and `delete` once the endpoint has left it, always
   * with the same `Endpoint` object. Events come in order, also when a listener causes further ones. What a listener
   * throws is logged and keeps nobody else from hearing. `name` appears in that log line.
   */
  subscribe(listener: EndpointListener, name: string = "endpoint listener"): () => void {
    const subscription: Subscription = { listener, name, active: true };
    for (const endpoint of this.snapshot()) {
      this.#undelivered.push({ event: { type: "addOrUpdate", endpoint }, to: [subscription] });
    }
    this.#subscriptions.add(subscription);
    this.#deliver();
    return () => {
      subscription.active = false;
      this.#subscriptions.delete(subscription);
    };
  }

  #tell(event: EndpointEvent): void {
    if (this.#subscriptions.size === 0) return;
    this.#undelivered.push({ event, to: [...this.#subscriptions] });
    this.#deliver();
  }

  #deliver(): void {
    if (this.#delivering) return;
    this.#delivering = true;
    try {
      for (let next = this.#undelivered.shift(); next !== undefined; next = this.#undelivered.shift()) {
        const { event } = next;
        for (const subscription of next.to) {
          if (subscription.active) this.#deliverTo(subscription, event);
        }
      }
    } finally {
      this.#delivering = false;
    }
  }

  #deliverTo(subscription: Subscription, event: EndpointEvent): void {
    try {
      subscription.listener.endpointChanged(event);
    } catch (thrown) {
      this.#logger.error(
        { listener: subscription.name, event: event.type, endpoint: event.endpoint.id, error: errorText(thrown) },
        "a listener failed on an endpoint event; other listeners are not affected",
      );
    }
  }
}
