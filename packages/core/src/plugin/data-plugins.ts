import type { Endpoint, EndpointMetadata } from "../endpoint.ts";
import type { RequestPolicySink } from "../request-control/request-policies.ts";

/** Receives what a discovery plugin finds. Calls are applied in order. */
export interface EndpointSink {
  upsert(metadata: EndpointMetadata): void;
  /** Unknown ids are ignored. */
  remove(id: string): void;
}

/** Finds endpoints without Kubernetes. */
export interface EndpointDiscovery {
  /**
   * Resolves after the first full pass (no endpoints is fine); rejects when the start must fail. Updates follow until
   * `dispose`. `policies` takes objectives and rewrites, where the plugin finds such things.
   */
  startDiscovery(sink: EndpointSink, policies?: RequestPolicySink): Promise<void>;
}

/** Where a polling source fetches from, for one endpoint. */
export interface PollTarget {
  readonly scheme: "http" | "https";
  readonly host: string;
  readonly port: number;
  readonly path: string;
}

/** TLS settings of a polling source. */
export interface PollTls {
  readonly insecureSkipVerify: boolean;
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
}

/** Fetches a page from each endpoint again and again. The scraper does the fetching; the source says what and how often. */
export interface PollingSource {
  /** Payload handed to extractors; an extractor works with sources of its own payload kind only. */
  readonly payload: string;
  /** Period; the process's `--refresh-metrics-interval` when absent. */
  readonly intervalMs?: number;
  readonly timeoutMs?: number;
  readonly maxBodyBytes: number;
  readonly tls?: PollTls;
  /** `undefined`: this endpoint is not polled. */
  pollTarget(endpoint: Endpoint): PollTarget | undefined;
  /** Says what is wrong with a page as a whole. Extractors see only pages without a complaint. */
  checkPayload?(body: Uint8Array): string | undefined;
}

/** Turns pages of a polling source into attributes. */
export interface PollingExtractor {
  readonly payload: string;
  /** What it looks for on a page, for people: `epp check` prints it. */
  readonly series?: readonly string[];
  /**
   * Writes attributes of `endpoint` from one page. Returns what could not be read, `undefined` when all was.
   * What was read counts even if other parts could not be. `body` is valid during the call: its memory is used again.
   */
  extract(body: Uint8Array, endpoint: Endpoint, nowMs: number): string | undefined;
}

/** An endpoint that appeared, changed or went. */
export interface EndpointEvent {
  readonly type: "addOrUpdate" | "delete";
  readonly endpoint: Endpoint;
}

/** Learns of endpoints as they come and go. */
export interface EndpointListener {
  endpointChanged(event: EndpointEvent): void;
}

/** Which Kubernetes objects a plugin follows. */
export interface KubernetesResource {
  /** API group; empty is the core group. */
  readonly group: string;
  readonly version: string;
  /** As in manifests: `Pod`. */
  readonly kind: string;
  /** As in URLs: `pods`. */
  readonly plural: string;
  /** Namespace of the objects; the pool's namespace when absent. */
  readonly namespace?: string;
  /** Selects by labels, in the string form of Kubernetes (`app=x,tier in (a,b),!old`). All objects when absent. */
  readonly labelSelector?: string;
}

/** A Kubernetes object as the API server sends it. What is `unknown` here is not checked: the reader does. */
export interface KubernetesObject {
  readonly metadata: {
    readonly namespace?: string;
    readonly name: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
    /** Present once somebody deletes the object, which may take its time to end. */
    readonly deletionTimestamp?: string;
  };
  readonly spec?: unknown;
  readonly status?: unknown;
}

/** What happened to the objects a plugin follows. */
export type KubernetesEvent =
  | { readonly type: "addOrUpdate"; readonly object: KubernetesObject }
  /** The object is gone, or no longer selected. */
  | { readonly type: "delete"; readonly namespace: string; readonly name: string }
  /** Everything that existed when the watch began has been told. Comes once; from then on the plugin knows the whole. */
  | { readonly type: "synced" };

/**
 * Learns of Kubernetes objects as they come, change and go.
 *
 * A source lists the objects as `addOrUpdate`, tells `synced`, then tells every change, one object's in their order. It
 * may repeat an object and may tell of objects beyond the label selector. After an interruption it tells what it missed,
 * deletions included. Where there is no Kubernetes, nothing is ever told, `synced` included: a plugin that cannot do
 * without says so in `notReady`.
 */
export interface KubernetesListener {
  /** What to follow; asked once, before the first event. */
  watchedResource(): KubernetesResource;
  /** Called outside of requests. An exception is logged, and the event counts as delivered. */
  resourceChanged(event: KubernetesEvent): void;
}
