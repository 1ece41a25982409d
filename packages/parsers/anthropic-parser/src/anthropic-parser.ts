import { type AnyPluginDefinition, definePlugin } from "@pointsman/core";
import { AnswerReader } from "@pointsman/core/body";
import { anthropicAnswer } from "./anthropic-answer.ts";
import { parseMessagesRequest } from "./parse-messages-request.ts";

export const anthropicParser: AnyPluginDefinition = definePlugin({
  type: "anthropic-parser",
  kind: "parser",
  stability: "beta",
  summary: "Reads model, prompt and limits from Anthropic messages requests, token usage from their answers.",
  readsBody: ["request", "response"],
  create: () => ({
    claims: ["messages", "messages/count_tokens"],
    appProtocols: ["kubernetes.io/h2c", "http"],
    parseRequest: (path, _headers, body) => parseMessagesRequest(path, body),
    responseReader: (_request, context) => new AnswerReader(context, anthropicAnswer),
  }),
});
