import { type ParsedRequest, RequestError } from "@pointsman/core";
import { firstLimit, isOptional, JsonRequest, scanBody } from "@pointsman/core/body";
import { get } from "@pointsman/core/json";
import { openAiApi } from "./openai-api.ts";

/**
 * Checks a body and gives what routing needs of it. `path` tells the API.
 * Errors: BadRequest with the text llm-d gives; never throws. Cost: one pass over the body, one over what holds the
 * prompt. The result refers to `body`.
 */
export function parseOpenAiRequest(path: string, body: Uint8Array): ParsedRequest | RequestError {
  const root = scanBody(body);
  if (typeof root === "string") return badRequest(`error unmarshaling request bodyMap: ${root}`);
  const api = openAiApi(path);
  const cacheSalt = api.hasCacheSalt ? get(root, "cache_salt") : undefined;
  const prompt = isOptional(cacheSalt, "string") ? api.readPrompt(root) : undefined;
  if (prompt === undefined) return badRequest(api.error);
  if (typeof prompt === "string") return badRequest(prompt);
  return new JsonRequest(root, { maxOutputTokens: firstLimit(root, api.capKeys), cacheSalt, prompt });
}

function badRequest(message: string): RequestError {
  return new RequestError("BadRequest", message);
}
