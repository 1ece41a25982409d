import type { Parser } from "@pointsman/core";

/** Reads nothing: the bench measures the proxy, not a parser. */
export const leanParser: Parser = {
  claims: [],
  appProtocols: [],
  parseRequest: () => ({
    model: "m",
    stream: false,
    maxOutputTokens: undefined,
    cacheSalt: undefined,
    promptSegments: () => [],
    promptTokenIds: () => undefined,
  }),
  responseReader: () => ({ chunk: (bytes) => bytes, usage: undefined, events: 0 }),
};
