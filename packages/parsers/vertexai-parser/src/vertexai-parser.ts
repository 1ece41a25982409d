import { type AnyPluginDefinition, definePlugin } from "@pointsman/core";
import { methodNames, parseVertexRequest } from "./vertex-request.ts";
import { VertexResponseReader } from "./vertex-response-reader.ts";

export const vertexaiParser: AnyPluginDefinition = definePlugin({
  type: "vertexai-parser",
  kind: "parser",
  stability: "beta",
  summary: "Reads OpenAI requests and token usage inside the messages of Vertex AI's prediction service.",
  readsBody: ["request", "response"],
  create: () => ({
    claims: methodNames,
    appProtocols: ["kubernetes.io/h2c"],
    parseRequest: (path, _headers, body) => parseVertexRequest(path, body),
    responseReader: (_request, context) => new VertexResponseReader(context.streaming),
  }),
});
