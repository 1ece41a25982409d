import type { HeaderMutation, Headers } from "../headers.ts";
import type { TerminationCause } from "../plugin/request-plugins.ts";
import type { RequestError } from "../request-error.ts";

/** How an exchange ended. */
export interface ExchangeEnd {
  readonly cause: TerminationCause;
  /** The model server answered with an error. */
  readonly modelServerError: boolean;
}

/** Follows one exchange. The methods must not throw. */
export interface ExchangeWatch {
  /** What to change in the headers of the request that goes to a model server. */
  upstreamHeaders(): HeaderMutation;
  /** The request got an answer of the picker's own. */
  refused(error: Pick<RequestError, "code" | "message">): void;
  /** Nothing follows. */
  closed(end: ExchangeEnd): void;
}

/** Wants to know of every exchange, as tracing does. */
export interface ExchangeObserver {
  /** The request's headers have come; the same object is later in `InferenceRequest.headers`. Must not throw. */
  begin(headers: Headers): ExchangeWatch;
}
