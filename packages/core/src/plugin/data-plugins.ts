import type { Endpoint, EndpointMetadata } from "../endpoint.ts";

/** Receives what a discovery plugin finds. Calls are applied in order. */
export interface EndpointSink {
  upsert(metadata: EndpointMetadata): void;
  /** Unknown ids are ignored. */
  remove(id: string): void;
}

/** Finds endpoints without Kubernetes. */
export interface EndpointDiscovery {
  /** Resolves after the first full pass (no endpoints is fine); rejects when the start must fail. Updates follow until `dispose`. */
  startDiscovery(sink: EndpointSink): Promise<void>;
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
  /**
   * Writes attributes of `endpoint` from one page. Returns what could not be read, `undefined` when all was.
   * What was read counts even if other parts could not be.
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
