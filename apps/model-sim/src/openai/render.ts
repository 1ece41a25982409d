import type { ChatPrompt } from "../text/chat-template.ts";
import { imagePlaceholderToken } from "../text/image-input.ts";
import { readModel, type ServedModels } from "./generation-request.ts";
import { completionTokens, placedChatTokens, readChatPrompt } from "./prompt-tokens.ts";

type Document = Readonly<Record<string, unknown>>;

/** Answers a request to /v1/chat/completions/render: the prompt's tokens and its images. Throws `ApiError` (400, 404). */
export function renderChat(document: Document, served: ServedModels): object {
  readModel(document, served);
  const prompt: ChatPrompt = readChatPrompt(document, true);
  const { ids, images } = placedChatTokens(prompt);
  const tokens = [...ids];
  for (const { offset, image } of images) tokens.fill(imagePlaceholderToken, offset, offset + image.tokens);
  const features = {
    mm_hashes: { image: images.map(({ image }) => image.hash) },
    mm_placeholders: { image: images.map(({ offset, image }) => ({ offset, length: image.tokens })) },
    kwargs_data: { image: images.map(({ image }) => Buffer.from(image.hash).toString("base64")) },
  };
  return { token_ids: tokens, features: images.length === 0 ? null : features };
}

/** Answers a request to /v1/completions/render. Throws `ApiError` (400, 404). */
export function renderCompletion(document: Document, served: ServedModels): readonly object[] {
  readModel(document, served);
  return [{ token_ids: [...completionTokens(document)] }];
}
