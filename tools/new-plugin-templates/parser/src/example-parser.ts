import { type AnyPluginDefinition, definePlugin, type ParsedRequest, RequestError } from "@pointsman/core";
import {
  AnswerReader,
  firstLimit,
  JsonRequest,
  listPrompt,
  noPrompt,
  openAiAnswer,
  scanBody,
} from "@pointsman/core/body";
import { get } from "@pointsman/core/json";

/** Reads `{"model", "prompt", "stream", "max_tokens"}`. Returns BadRequest for anything else. The result refers to `body`. */
export function parseGenerateRequest(body: Uint8Array): ParsedRequest | RequestError {
  const root = scanBody(body);
  if (typeof root === "string") return new RequestError("BadRequest", `the body is no JSON object: ${root}`);
  const given = get(root, "prompt");
  const prompt = given === undefined ? noPrompt : listPrompt(given, false);
  if (prompt === undefined) return new RequestError("BadRequest", "prompt must be a text or a list of texts");
  if (typeof prompt === "string") return new RequestError("BadRequest", prompt);
  return new JsonRequest(root, { maxOutputTokens: firstLimit(root, ["max_tokens"]), cacheSalt: undefined, prompt });
}

export const exampleParser: AnyPluginDefinition = definePlugin({
  type: "example-parser",
  kind: "parser",
  stability: "beta",
  summary: "Reads model, prompt and limit from requests of a small JSON API, and usage from its answers.",
  readsBody: ["request", "response"],
  create: () => ({
    // Suffixes of paths: `/v1/example-parser/generate` is this parser's.
    claims: ["example-parser/generate"],
    appProtocols: [],
    parseRequest: (_path, _headers, body) => parseGenerateRequest(body),
    responseReader: (_request, context) => new AnswerReader(context, openAiAnswer),
  }),
});
