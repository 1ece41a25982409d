import { type AnyPluginDefinition, definePlugin } from "@pointsman/core";
import { AnswerReader } from "@pointsman/core/body";
import { parseSglangRequest } from "./parse-sglang-request.ts";
import { sglangAnswer } from "./sglang-answer.ts";

export const sglangHttpParser: AnyPluginDefinition = definePlugin({
  type: "sglanghttp-parser",
  kind: "parser",
  stability: "beta",
  summary: "Reads token ids and limits from SGLang generate requests, token usage from their answers.",
  readsBody: ["request", "response"],
  create: () => ({
    claims: ["generate"],
    appProtocols: ["kubernetes.io/h2c", "http"],
    parseRequest: (path, _headers, body) => parseSglangRequest(path, body),
    responseReader: (_request, context) => new AnswerReader(context, sglangAnswer),
  }),
});
