import { type ParsedRequest, type PromptSegment, RequestError } from "@pointsman/core";
import { get, type JsonValue, numberValue, scanJson, stringValue } from "@pointsman/core/json";
import { isOptional } from "./json-checks.ts";
import { type OpenAiApi, openAiApi } from "./openai-api.ts";
import type { Prompt } from "./prompt.ts";
import { replaceModel } from "./replace-model.ts";

/** Nesting that is accepted: as deep as the peer's JSON reader goes. */
const maxDepth = 10_000;

/**
 * Checks a body and gives what routing needs of it. `path` tells the API.
 * Errors: BadRequest with the text llm-d gives; never throws. Cost: one pass over the body, one over what holds the
 * prompt. The result refers to `body`.
 */
export function parseOpenAiRequest(path: string, body: Uint8Array): ParsedRequest | RequestError {
  const document = scanJson(body, { maxDepth });
  if (!document.ok) return badRequest(`error unmarshaling request bodyMap: ${document.message}`);
  const { root } = document;
  const api = openAiApi(path);
  // Null is a map without keys in Go.
  if (root.kind === "null") return badRequest(api.error);
  if (root.kind !== "object") {
    const what = root.kind === "true" || root.kind === "false" ? "bool" : root.kind;
    return badRequest(
      `error unmarshaling request bodyMap: json: cannot unmarshal ${what} into Go value of type map[string]interface {}`,
    );
  }
  const cacheSalt = api.hasCacheSalt ? get(root, "cache_salt") : undefined;
  const prompt = isOptional(cacheSalt, "string") ? api.readPrompt(root) : undefined;
  return prompt === undefined ? badRequest(api.error) : new OpenAiRequest(root, api, prompt, cacheSalt);
}

class OpenAiRequest implements ParsedRequest {
  readonly model: string | undefined;
  readonly stream: boolean;
  readonly maxOutputTokens: number | undefined;
  readonly cacheSalt: string | undefined;
  readonly #root: JsonValue;
  readonly #prompt: Prompt;

  constructor(root: JsonValue, api: OpenAiApi, prompt: Prompt, cacheSalt: JsonValue | undefined) {
    this.model = stringValue(get(root, "model"));
    this.stream = get(root, "stream")?.kind === "true";
    this.maxOutputTokens = outputCap(root, api.capKeys);
    this.cacheSalt = stringValue(cacheSalt) || undefined;
    this.#root = root;
    this.#prompt = prompt;
  }

  promptSegments(): readonly (readonly PromptSegment[])[] {
    return this.#prompt.segments();
  }

  promptTokenIds(): readonly Uint32Array[] | undefined {
    return this.#prompt.tokenIds;
  }

  rewriteModel(model: string): readonly Uint8Array[] {
    return replaceModel(this.#root, model);
  }
}

function outputCap(root: JsonValue, keys: readonly string[]): number | undefined {
  for (const key of keys) {
    const count = numberValue(get(root, key));
    // The sum turns -0 into 0.
    if (count !== undefined && Number.isSafeInteger(count) && count >= 0) return count + 0;
  }
  return undefined;
}

function badRequest(message: string): RequestError {
  return new RequestError("BadRequest", message);
}
