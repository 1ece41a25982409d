import { type AnyPluginDefinition, definePlugin } from "@pointsman/core";
import { OpenAiResponseReader } from "./openai-response-reader.ts";
import { parseOpenAiRequest } from "./parse-openai-request.ts";

export const openaiParser: AnyPluginDefinition = definePlugin({
  type: "openai-parser",
  kind: "parser",
  stability: "beta",
  summary: "Reads model, prompt and limits from OpenAI requests, token usage from their answers.",
  readsBody: ["request", "response"],
  create: () => ({
    claims: [
      "chat/completions",
      "completions",
      "embeddings",
      "responses",
      "conversations",
      "chat/completions/render",
      "completions/render",
      "images/generations",
    ],
    appProtocols: ["kubernetes.io/h2c", "http"],
    parseRequest: (path, _headers, body) => parseOpenAiRequest(path, body),
    responseReader: (_request, context) => new OpenAiResponseReader(context),
  }),
});
