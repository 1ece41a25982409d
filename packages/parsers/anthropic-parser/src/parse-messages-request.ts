import { type ParsedRequest, RequestError } from "@pointsman/core";
import { firstLimit, JsonRequest, scanBody } from "@pointsman/core/body";
import { elements, get } from "@pointsman/core/json";
import { messagesFault } from "./messages-fault.ts";
import { messagesSegments } from "./messages-segments.ts";

const uncounted: ParsedRequest = Object.freeze({
  model: undefined,
  stream: false,
  maxOutputTokens: undefined,
  cacheSalt: undefined,
  promptSegments: () => [],
  promptTokenIds: () => undefined,
  skipResponse: true,
});

/**
 * Checks a body of the messages API and gives what routing needs of it. A body whose tokens are only to be counted
 * passes unread. One trailing slash of the path does not matter.
 * Errors: BadRequest with the text llm-d gives; never throws. Cost: one pass over the body, one over the messages. The
 * result refers to `body`.
 */
export function parseMessagesRequest(path: string, body: Uint8Array): ParsedRequest | RequestError {
  const absolute = `/${path.endsWith("/") ? path.slice(0, -1) : path}`;
  if (absolute.endsWith("/messages/count_tokens")) return uncounted;
  if (!absolute.endsWith("/messages")) return badRequest(`unsupported API endpoint: ${path}`);
  const root = scanBody(body);
  if (typeof root === "string") return badRequest(`error unmarshaling request body: ${root}`);
  const fault = messagesFault(root);
  if (fault !== undefined) return badRequest(`error parsing messages request: ${fault}`);
  if (!elements(get(root, "messages")).next()) {
    return badRequest("invalid messages request: must have at least one message");
  }
  return new JsonRequest(root, {
    maxOutputTokens: firstLimit(root, ["max_tokens"]),
    cacheSalt: get(root, "cache_salt"),
    prompt: { tokenIds: undefined, segments: () => [messagesSegments(root)] },
  });
}

function badRequest(message: string): RequestError {
  return new RequestError("BadRequest", message);
}
