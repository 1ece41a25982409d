import { type AnyPluginDefinition, definePlugin } from "@pointsman/core";
import { AnswerReader, openAiAnswer } from "@pointsman/core/body";
import { parseGenerateRequest } from "./parse-generate-request.ts";

export const vllmHttpParser: AnyPluginDefinition = definePlugin({
  type: "vllmhttp-parser",
  kind: "parser",
  stability: "beta",
  summary: "Reads token ids, media and limits from vLLM generate requests, token usage from their answers.",
  readsBody: ["request", "response"],
  create: () => ({
    claims: ["inference/v1/generate"],
    appProtocols: ["kubernetes.io/h2c", "http"],
    parseRequest: (path, _headers, body) => parseGenerateRequest(path, body),
    responseReader: (_request, context) => new AnswerReader(context, openAiAnswer),
  }),
});
