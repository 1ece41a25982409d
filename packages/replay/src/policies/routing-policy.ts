import type { Sequence } from "../engine/simulated-engine.ts";
import type { WorkloadRequest } from "../workload/workload.ts";

/** Where a request goes. */
export interface Choice {
  /** Index of the server; `undefined` when the policy refuses the request. */
  readonly server: number | undefined;
  /** Prompt tokens that the policy knows will have to be computed, for policies that look into servers. */
  readonly expectedTokens?: number;
  /** Why it was refused. */
  readonly problem?: string;
  /** Milliseconds of wall time that deciding took, where it was measured. */
  readonly decisionMs?: number;
  /** Told of the answer's progress; the last call has `finished`. */
  readonly onProgress?: (sequence: Sequence, finished: boolean) => void;
}

/** Decides where requests go. */
export interface RoutingPolicy {
  readonly name: string;
  /** Calls `chosen` once, at once or later in virtual time. */
  route(request: WorkloadRequest, chosen: (choice: Choice) => void): void;
  /** Ends what the policy holds. */
  dispose?(): Promise<void>;
}
