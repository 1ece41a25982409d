import type { Agent } from "node:http";

/** What a request to the API server carries. */
export interface Credentials {
  readonly headers: Readonly<Record<string, string>>;
  /** Holds the TLS settings and the open connections. */
  readonly agent: Agent;
}

/** Where the API server is and who asks. */
export interface ClusterAccess {
  readonly server: URL;
  /** Where this comes from, for people: a file, or `in-cluster`. */
  readonly origin: string;
  /** The namespace that the credentials name. */
  readonly namespace: string | undefined;
  /** Credentials for the next request. Files that rotate are read again when they are old. Rejects when there are none. */
  credentials(): Promise<Credentials>;
  /** Tells that the API server refused the credentials: files are read again for the next request. */
  refused(): void;
}
