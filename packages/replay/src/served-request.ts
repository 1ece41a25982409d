import type { WorkloadRequest } from "./workload/workload.ts";

/** What became of one request. Times in virtual milliseconds, NaN where it never came to that. */
export interface ServedRequest {
  readonly request: WorkloadRequest;
  readonly arrivalMs: number;
  /** Whether it stands between warm-up and cool-down. */
  readonly counted: boolean;
  /** Index of the server; `undefined` when it was sent nowhere. */
  server: number | undefined;
  /** Why it was not served. */
  problem: string | undefined;
  /** Wall time the decision took; `undefined` where it was not measured. */
  decisionMs: number | undefined;
  /** When the server began with the prompt. */
  admittedMs: number;
  firstTokenMs: number;
  finishedMs: number;
  /** Prompt tokens found in the server's cache. */
  cachedTokens: number;
}
