import { type AnyPluginDefinition, definePlugin } from "@pointsman/core";
import { methodNames, parseVllmRequest } from "./vllm-request.ts";
import { VllmResponseReader } from "./vllm-response-reader.ts";

export const vllmgrpcParser: AnyPluginDefinition = definePlugin({
  type: "vllmgrpc-parser",
  kind: "parser",
  stability: "beta",
  summary: "Reads prompt, tokens and limits from vLLM's gRPC requests, token usage from their answers.",
  readsBody: ["request", "response"],
  create: () => ({
    claims: methodNames,
    appProtocols: ["kubernetes.io/h2c"],
    parseRequest: (path, _headers, body) => parseVllmRequest(path, body),
    responseReader: () => new VllmResponseReader(),
  }),
});
