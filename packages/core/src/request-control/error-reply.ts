import type { DropReason, RequestError } from "../request-error.ts";
import { wireNames } from "../wire-names.ts";
import type { ImmediateReply } from "./exchange-sink.ts";

/** How the body of a refusal is written: a line of text as the Go picker does, or the JSON of OpenAI's API. */
export type ErrorFormat = "text" | "json";

/** The client's view of a refused request. */
export function replyFor(error: RequestError, format: ErrorFormat = "text"): ImmediateReply {
  return format === "text"
    ? reply(error.httpStatus, error.body, error.reason)
    : jsonReply(error.httpStatus, error.code, error.message, error.reason);
}

/** The client's view of a request that was evicted in flight. Source: spec ext-proc sections 4 and 6. */
export function evictionReply(format: ErrorFormat = "text"): ImmediateReply {
  const text = "request evicted by flow control";
  return format === "text" ? reply(429, text, "evicted") : jsonReply(429, "ResourceExhausted", text, "evicted");
}

function jsonReply(status: number, type: string, message: string, reason: DropReason | undefined): ImmediateReply {
  const body = JSON.stringify({ error: { message, type, param: null, code: status } });
  const { headers } = reply(status, body, reason);
  return { status, body, headers: [["content-type", "application/json"], ...headers] };
}

function reply(status: number, body: string, reason: DropReason | undefined): ImmediateReply {
  return { status, body, headers: reason === undefined ? [] : [[wireNames.dropReason, reason]] };
}
