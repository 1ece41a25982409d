import type { ParsedRequest } from "../plugin/parser.ts";

/** What is known of a body that was not looked into: nothing. */
export const unreadBody: ParsedRequest = Object.freeze({
  model: undefined,
  stream: false,
  maxOutputTokens: undefined,
  cacheSalt: undefined,
  promptSegments: () => [],
  promptTokenIds: () => undefined,
});
