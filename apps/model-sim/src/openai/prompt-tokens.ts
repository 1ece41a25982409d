import { ApiError } from "../http/api-error.ts";
import { addChatTokens, type ChatMessage, type ChatPrompt, type PlacedImage } from "../text/chat-template.ts";
import { type ImageInput, imageOfUrl } from "../text/image-input.ts";
import { TokenList } from "../text/tokenizer.ts";
import { wrongType } from "./request-fields.ts";

type Document = Readonly<Record<string, unknown>>;

const maxTokenId = 4_294_967_295;

/** The token ids of a completion request's `prompt`: a string, a list of token ids, or a list of one of them. */
export function completionTokens(document: Document): Uint32Array {
  const given = document["prompt"];
  if (given === undefined || given === null) throw new ApiError(400, '"prompt" is missing.', { param: "prompt" });
  const prompt = Array.isArray(given) && isPromptList(given) ? onlyPrompt(given) : given;
  if (Array.isArray(prompt)) return checkedTokenIds(prompt, "prompt");
  if (typeof prompt !== "string") throw wrongType("prompt", "a string or a list of token ids", prompt);
  const tokens = new TokenList();
  tokens.addText(prompt);
  return tokens.ids();
}

/** Token ids of a list in a request. Shape: fresh memory. Throws `ApiError` 400 that names the field. */
export function checkedTokenIds(list: readonly unknown[], field: string): Uint32Array {
  const ids = new Uint32Array(list.length);
  for (const [index, id] of list.entries()) ids[index] = checkedTokenId(id, field);
  return ids;
}

function isPromptList(list: readonly unknown[]): boolean {
  return typeof list[0] === "string" || Array.isArray(list[0]);
}

function onlyPrompt(list: readonly unknown[]): unknown {
  if (list.length === 1) return list[0];
  throw new ApiError(400, `"prompt" has ${list.length} prompts; this server takes one per request.`, {
    param: "prompt",
  });
}

function checkedTokenId(id: unknown, field: string): number {
  if (typeof id === "number" && Number.isInteger(id) && id >= 0 && id <= maxTokenId) return id;
  throw new ApiError(400, `"${field}" has a token id that is not an integer from 0 to ${maxTokenId}.`, {
    param: field,
  });
}

export function chatTokens(prompt: ChatPrompt): Uint32Array {
  return placedChatTokens(prompt).ids;
}

/** A conversation's tokens, and where its images are in them. */
export function placedChatTokens(prompt: ChatPrompt): { ids: Uint32Array; images: readonly PlacedImage[] } {
  const tokens = new TokenList();
  const images = addChatTokens(prompt, tokens);
  return { ids: tokens.ids(), images };
}

/** Reads `messages` and `tools`. Throws `ApiError` 400 that names the place. */
export function readChatPrompt(document: Document, opensAnswer: boolean): ChatPrompt {
  const messages = document["messages"];
  if (messages === undefined || messages === null)
    throw new ApiError(400, '"messages" is missing.', { param: "messages" });
  if (!Array.isArray(messages)) throw wrongType("messages", "a list of messages", messages);
  if (messages.length === 0) throw new ApiError(400, '"messages" is empty.', { param: "messages" });
  const tools = document["tools"] ?? undefined;
  if (tools !== undefined && !Array.isArray(tools)) throw wrongType("tools", "a list of tools", tools);
  return {
    toolsText: tools === undefined || tools.length === 0 ? undefined : jsonText("tools", tools),
    messages: messages.map(readMessage),
    opensAnswer,
  };
}

function readMessage(message: unknown, index: number): ChatMessage {
  const place = `messages[${index}]`;
  if (typeof message !== "object" || message === null || Array.isArray(message)) {
    throw wrongType(place, "an object", message);
  }
  const { role, content, tool_calls: toolCalls }: Document = { ...message };
  if (typeof role !== "string" || role === "") throw wrongType(`${place}.role`, "a non-empty string", role);
  const images: ImageInput[] = [];
  const text = readContent(content, `${place}.content`, toolCalls !== undefined && toolCalls !== null, images);
  const calls = toolCalls === undefined || toolCalls === null ? "" : jsonText(`${place}.tool_calls`, toolCalls);
  return { role, text: text + calls, images };
}

/** Returns the text of a message; its images go to `images`. */
function readContent(content: unknown, place: string, mayBeMissing: boolean, images: ImageInput[]): string {
  if (typeof content === "string") return content;
  if ((content === undefined || content === null) && mayBeMissing) return "";
  if (!Array.isArray(content)) throw wrongType(place, "a string or a list of parts", content);
  let all = "";
  for (const [index, part] of content.entries()) {
    const { type, text, image_url: imageUrl }: Document = isObject(part) ? { ...part } : {};
    const url = type === "image_url" && isObject(imageUrl) && "url" in imageUrl ? imageUrl.url : undefined;
    const field = `${place}[${index}]`;
    if (type === "text" && typeof text === "string") all += text;
    else if (typeof url === "string") images.push(imageOfUrl(url));
    else if (typeof type === "string" && type !== "text" && type !== "image_url") {
      const message = `"${field}" has type ${JSON.stringify(type.slice(0, 40))}; the model takes text and images only.`;
      throw new ApiError(400, message, { param: field });
    } else throw wrongType(field, 'an object with type "text" and "text", or "image_url" and "image_url.url"', part);
  }
  return all;
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}

function jsonText(field: string, value: unknown): string {
  try {
    return JSON.stringify(value);
  } catch {
    throw new ApiError(400, `"${field}" is nested too deeply.`, { param: field });
  }
}
