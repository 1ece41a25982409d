import { ApiError } from "../http/api-error.ts";
import { addChatTokens, type ChatMessage, type ChatPrompt } from "../text/chat-template.ts";
import { TokenList } from "../text/tokenizer.ts";
import { wrongType } from "./request-fields.ts";

type Document = Readonly<Record<string, unknown>>;

const maxTokenId = 4_294_967_295;

/** The token ids of a completion request's `prompt`: a string, a list of token ids, or a list of one of them. */
export function completionTokens(document: Document): Uint32Array {
  const given = document["prompt"];
  if (given === undefined || given === null) throw new ApiError(400, '"prompt" is missing.', { param: "prompt" });
  const prompt = Array.isArray(given) && isPromptList(given) ? onlyPrompt(given) : given;
  const tokens = new TokenList();
  if (typeof prompt === "string") tokens.addText(prompt);
  else if (Array.isArray(prompt)) for (const id of prompt) tokens.addToken(checkedTokenId(id));
  else throw wrongType("prompt", "a string or a list of token ids", prompt);
  return tokens.ids();
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

function checkedTokenId(id: unknown): number {
  if (typeof id === "number" && Number.isInteger(id) && id >= 0 && id <= maxTokenId) return id;
  throw new ApiError(400, `"prompt" has a token id that is not an integer from 0 to ${maxTokenId}.`, {
    param: "prompt",
  });
}

export function chatTokens(prompt: ChatPrompt): Uint32Array {
  const tokens = new TokenList();
  addChatTokens(prompt, tokens);
  return tokens.ids();
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
  const text = readContent(content, `${place}.content`, toolCalls !== undefined && toolCalls !== null);
  const calls = toolCalls === undefined || toolCalls === null ? "" : jsonText(`${place}.tool_calls`, toolCalls);
  return { role, text: text + calls };
}

function readContent(content: unknown, place: string, mayBeMissing: boolean): string {
  if (typeof content === "string") return content;
  if ((content === undefined || content === null) && mayBeMissing) return "";
  if (!Array.isArray(content)) throw wrongType(place, "a string or a list of parts", content);
  const texts = content.map((part: unknown, index) => {
    const { type, text }: Document = typeof part === "object" && part !== null ? { ...part } : {};
    if (type === "text" && typeof text === "string") return text;
    const field = `${place}[${index}]`;
    if (typeof type === "string" && type !== "text") {
      throw new ApiError(400, `"${field}" has type ${JSON.stringify(type.slice(0, 40))}; the model takes text only.`, {
        param: field,
      });
    }
    throw wrongType(field, 'an object with type "text" and a string "text"', part);
  });
  return texts.join("");
}

function jsonText(field: string, value: unknown): string {
  try {
    return JSON.stringify(value);
  } catch {
    throw new ApiError(400, `"${field}" is nested too deeply.`, { param: field });
  }
}
