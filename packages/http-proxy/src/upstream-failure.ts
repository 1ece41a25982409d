import type { Refusal } from "./request-head.ts";

/** What went wrong between proxy and model server. */
export type UpstreamFailureKind =
  /** No connection came about: refused, unreachable, name not found. */
  | "connect-failed"
  | "connect-timeout"
  /** The server closed or reset the connection before its answer was complete. */
  | "closed"
  /** The server did not start to answer in time. */
  | "answer-timeout"
  /** The server's bytes are not a valid HTTP/1.1 response. */
  | "bad-answer";

export interface UpstreamFailure {
  readonly kind: UpstreamFailureKind;
  readonly problem: string;
  /** The connection had carried an earlier request. */
  readonly reused: boolean;
  /** At least one byte of the answer had arrived. */
  readonly answered: boolean;
}

/**
 * What to do about a failure: nothing was processed when no connection came about, so the next endpoint is safe; a kept
 * connection that closes before any byte of an answer was most likely closed while idle, so the same endpoint gets the
 * request once more over a fresh connection. Everything else may have been processed and is not sent again.
 */
export function afterFailure(failure: UpstreamFailure): "next-endpoint" | "fresh-connection" | "give-up" {
  if (failure.answered) return "give-up";
  if (failure.kind === "connect-failed" || failure.kind === "connect-timeout") return "next-endpoint";
  return failure.kind === "closed" && failure.reused ? "fresh-connection" : "give-up";
}

/** The client's view of a failure, once nothing is left to try. No addresses: they are in the log. */
export function failureReply(failure: UpstreamFailure, answerTimeoutMs: number): Refusal {
  switch (failure.kind) {
    case "connect-failed":
      return { status: 502, code: "BadGateway", message: "no connection to a model server" };
    case "connect-timeout":
      return { status: 504, code: "GatewayTimeout", message: "no connection to a model server in time" };
    case "answer-timeout":
      return {
        status: 504,
        code: "GatewayTimeout",
        message: `no answer from the model server in ${answerTimeoutMs} ms`,
      };
    case "closed":
      return {
        status: 502,
        code: "BadGateway",
        message: "the model server closed the connection without a whole answer",
      };
    case "bad-answer":
      return { status: 502, code: "BadGateway", message: "the model server sent no valid HTTP/1.1 answer" };
  }
}
