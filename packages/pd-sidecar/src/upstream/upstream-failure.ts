/** What went wrong between sidecar and model server. */
export type UpstreamFailureKind =
  /** No connection came about: unreachable, name not found, certificate refused. */
  | "connect-failed"
  /** Nobody listens there. */
  | "connect-refused"
  | "connect-timeout"
  /** The server closed or reset the connection before its answer was complete. */
  | "closed"
  /** The answer was not complete in time. */
  | "answer-timeout"
  /** The server's bytes are not a valid HTTP/1.1 response. */
  | "bad-answer"
  /** The answer is larger than the sidecar keeps. */
  | "too-large"
  /** The client has left, or another stage of its request has failed. */
  | "cancelled";

export interface UpstreamFailure {
  readonly kind: UpstreamFailureKind;
  readonly problem: string;
  /** The connection had carried an earlier request. */
  readonly reused: boolean;
  /** At least one byte of the answer had arrived. */
  readonly answered: boolean;
}

/** A failure in words, without an address. */
export function failureText({ kind, problem }: UpstreamFailure): string {
  switch (kind) {
    case "connect-refused":
      return "connection refused";
    case "connect-timeout":
      return "no connection in time";
    case "answer-timeout":
      return "no complete answer in time";
    case "cancelled":
      return "cancelled";
    case "too-large":
      return problem;
    case "connect-failed":
      return `no connection: ${problem}`;
    case "closed":
      return `the connection ended before the answer was complete: ${problem}`;
    case "bad-answer":
      return `the answer is not valid HTTP/1.1: ${problem}`;
  }
}
