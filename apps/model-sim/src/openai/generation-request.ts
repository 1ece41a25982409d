import { ApiError } from "../http/api-error.ts";
import type { ImageInput } from "../text/image-input.ts";
import { readGenerateInput } from "./generate-input.ts";
import { completionTokens, placedChatTokens, readChatPrompt } from "./prompt-tokens.ts";
import { readCount, readFlag, readObject, readText } from "./request-fields.ts";

type Document = Readonly<Record<string, unknown>>;

/** `generate`: token ids in, token ids out. */
export type GenerationKind = "completion" | "chat" | "generate";

/** What a completion or chat request asks for, checked. */
export interface GenerationRequest {
  readonly kind: GenerationKind;
  /** The model as the reply names it. */
  readonly model: string;
  readonly adapter: string | undefined;
  readonly tokenIds: Uint32Array;
  readonly images: readonly ImageInput[];
  /** Separates prefix caches: requests with different salts share no blocks. */
  readonly cacheSalt: string;
  readonly answerTokens: number;
  /** Why the answer ends after that many tokens. */
  readonly finishReason: "stop" | "length";
  readonly stream: boolean;
  readonly includesUsage: boolean;
  /** Usage in each chunk, not only in the last. */
  readonly continuousUsage: boolean;
}

export interface ServedModels {
  readonly model: string;
  readonly loraAdapters: readonly string[];
  readonly maxModelTokens: number;
  /** Length of an answer to a request without a limit. */
  readonly answerTokens: number;
}

const maxModelCharacters = 1024;
const maxSaltCharacters = 4096;

/** Finds the model a request names. Throws `ApiError` 404 when this server does not serve it. */
export function readModel(document: Document, served: ServedModels): { model: string; adapter: string | undefined } {
  const model = readText(document, "model", maxModelCharacters) ?? served.model;
  if (model === served.model) return { model, adapter: undefined };
  if (served.loraAdapters.includes(model)) return { model, adapter: model };
  throw new ApiError(404, `The model ${JSON.stringify(model)} is not served here. GET /v1/models lists what is.`, {
    param: "model",
  });
}

/** Checks a request. Throws `ApiError` (400, 404) that names the field. */
export function readGenerationRequest(
  kind: GenerationKind,
  document: Document,
  served: ServedModels,
): GenerationRequest {
  const { model, adapter } = readModel(document, served);
  for (const field of ["n", "best_of"]) {
    const answers = readCount(document, field);
    if (answers !== undefined && answers > 1) {
      throw new ApiError(400, `"${field}" is ${answers}; this server gives one answer per request.`, { param: field });
    }
  }
  const stream = readFlag(document, "stream") ?? false;
  const streamOptions = readObject(document, "stream_options");
  if (streamOptions !== undefined && !stream) {
    throw new ApiError(400, '"stream_options" is only allowed when "stream" is true.', { param: "stream_options" });
  }
  const limit = readLimit(kind, document);
  const { ids: tokenIds, images } = readPrompt(kind, document);
  const promptField = kind === "generate" ? "token_ids" : kind === "chat" ? "messages" : "prompt";
  if (tokenIds.length === 0) throw new ApiError(400, `"${promptField}" is empty.`, { param: promptField });
  const room = served.maxModelTokens - tokenIds.length;
  if (room < (limit?.tokens ?? 1)) {
    const asked =
      limit === undefined ? "leaves no room for an answer" : `with ${limit.tokens} tokens of answer is too long`;
    throw new ApiError(
      400,
      `The prompt of ${tokenIds.length} tokens ${asked}: the model takes ${served.maxModelTokens} tokens in all.`,
      { param: limit?.field ?? promptField },
    );
  }
  return {
    kind,
    model,
    adapter,
    tokenIds,
    images,
    cacheSalt: readText(document, "cache_salt", maxSaltCharacters) ?? "",
    answerTokens: limit?.tokens ?? Math.min(served.answerTokens, room),
    finishReason: limit === undefined && room >= served.answerTokens ? "stop" : "length",
    stream,
    includesUsage: streamOptions !== undefined && (readFlag(streamOptions, "include_usage") ?? false),
    continuousUsage: streamOptions !== undefined && (readFlag(streamOptions, "continuous_usage_stats") ?? false),
  };
}

function readPrompt(
  kind: GenerationKind,
  document: Document,
): { readonly ids: Uint32Array; readonly images: readonly ImageInput[] } {
  switch (kind) {
    case "completion":
      return { ids: completionTokens(document), images: [] };
    case "generate":
      return readGenerateInput(document);
    case "chat": {
      const { ids, images } = placedChatTokens(readChatPrompt(document, true));
      return { ids, images: images.map(({ image }) => image) };
    }
  }
}

function readLimit(kind: GenerationKind, request: Document): { field: string; tokens: number } | undefined {
  const document = kind === "generate" ? (readObject(request, "sampling_params") ?? {}) : request;
  const fields = kind === "chat" ? ["max_completion_tokens", "max_tokens"] : ["max_tokens"];
  let limit: { field: string; tokens: number } | undefined;
  for (const field of fields) {
    const tokens = readCount(document, field);
    if (tokens !== undefined) limit ??= { field, tokens };
  }
  return limit;
}
