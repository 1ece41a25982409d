import { chatTokenTexts } from "../text/chat-template.ts";
import { tokenTexts } from "../text/tokenizer.ts";
import { readModel, type ServedModels } from "./generation-request.ts";
import { chatTokens, completionTokens, readChatPrompt } from "./prompt-tokens.ts";
import { readFlag, wrongType } from "./request-fields.ts";

/** Answers a request to /tokenize, which has a `prompt` or `messages`. Throws `ApiError` (400, 404). */
export function tokenize(document: Readonly<Record<string, unknown>>, served: ServedModels): object {
  readModel(document, served);
  const withTexts = readFlag(document, "return_token_strs") ?? false;
  let tokens: Uint32Array;
  let texts: string[] | null = null;
  if (document["messages"] !== undefined) {
    const prompt = readChatPrompt(document, readFlag(document, "add_generation_prompt") ?? true);
    tokens = chatTokens(prompt);
    if (withTexts) texts = chatTokenTexts(prompt);
  } else {
    const { prompt } = document;
    if (prompt !== undefined && typeof prompt !== "string") throw wrongType("prompt", "a string", prompt);
    tokens = completionTokens(document);
    if (withTexts && prompt !== undefined) texts = tokenTexts(prompt);
  }
  return { count: tokens.length, max_model_len: served.maxModelTokens, tokens: [...tokens], token_strs: texts };
}
