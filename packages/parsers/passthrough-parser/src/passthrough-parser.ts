import { type AnyPluginDefinition, definePlugin, type ParsedRequest, type ResponseReader } from "@pointsman/core";

const unread: ParsedRequest = Object.freeze({
  model: undefined,
  stream: false,
  maxOutputTokens: undefined,
  cacheSalt: undefined,
  promptSegments: () => [],
  promptTokenIds: () => undefined,
});

const unreadAnswer: ResponseReader = Object.freeze({
  usage: undefined,
  events: 0,
  chunk: (bytes: Uint8Array) => bytes,
});

export const passthroughParser: AnyPluginDefinition = definePlugin({
  type: "passthrough-parser",
  kind: "parser",
  stability: "beta",
  summary: "Takes requests that no other parser claims and lets them pass unread.",
  create: () => ({
    claims: [],
    appProtocols: [],
    parseRequest: () => unread,
    responseReader: () => unreadAnswer,
  }),
});
