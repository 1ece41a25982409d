import type { PromptSegment } from "@pointsman/core";
import { isIntegerLiteral, isOptional, listPrompt, noPrompt, type Prompt } from "@pointsman/core/body";
import { elements, get, type JsonValue, members, rawBytes } from "@pointsman/core/json";
import { chatPrompt } from "./chat-prompt.ts";

/** One of the request formats. */
export interface OpenAiApi {
  /** What the client is told when a body is not in this format. */
  readonly error: string;
  /** Fields that bound the answer's length; the first that holds a count is used. */
  readonly capKeys: readonly string[];
  readonly hasCacheSalt: boolean;
  /**
   * Checks a body and finds its prompt. Missing values: undefined when it is not in this format. Errors: a text when it
   * is, and cannot be taken.
   */
  readPrompt(body: JsonValue): Prompt | string | undefined;
}

const conversations: OpenAiApi = {
  error: "invalid conversations request: must have items field",
  capKeys: [],
  hasCacheSalt: true,
  readPrompt(body) {
    const items = get(body, "items");
    if (items?.kind !== "array" || !isOptional(get(body, "metadata"), "object")) return undefined;
    const list = elements(items);
    let count = 0;
    while (list.next()) {
      count++;
      if (!isItem(list)) return undefined;
    }
    if (count === 0) return undefined;
    return { tokenIds: undefined, segments: () => [[{ kind: "text", bytes: rawBytes(items) }]] };
  },
};

function isItem(item: JsonValue): boolean {
  if (item.kind !== "object") return item.kind === "null";
  const fields = members(item);
  while (fields.next()) {
    if ((fields.keyIs("type") || fields.keyIs("role")) && !isOptional(fields, "string")) return false;
  }
  return true;
}

const responses: OpenAiApi = {
  error: "invalid responses request: must have input field",
  capKeys: ["max_output_tokens"],
  hasCacheSalt: true,
  readPrompt(body) {
    const input = get(body, "input");
    if (input === undefined || input.kind === "null") return undefined;
    return { tokenIds: undefined, segments: () => [responsesSegments(body, input)] };
  },
};

const ascii = (text: string): Uint8Array => Buffer.from(text, "latin1");
const instructionsStart = ascii('[{"instructions":');
const toolsStart = ascii('[{"tools":');
const toolsNext = ascii('},{"tools":');
const inputStart = ascii('[{"input":');
const inputNext = ascii('},{"input":');
const listEnd = ascii("}]");

/** One JSON list of what the body gives of instructions, tools and input, each an object with one member. */
function responsesSegments(body: JsonValue, input: JsonValue): readonly PromptSegment[] {
  const parts: Uint8Array[] = [];
  const instructions = get(body, "instructions");
  const tools = get(body, "tools");
  if (instructions !== undefined && instructions.kind !== "null") {
    parts.push(instructionsStart, rawBytes(instructions));
  }
  if (tools !== undefined && tools.kind !== "null") {
    parts.push(parts.length === 0 ? toolsStart : toolsNext, rawBytes(tools));
  }
  parts.push(parts.length === 0 ? inputStart : inputNext, rawBytes(input), listEnd);
  return parts.map((bytes) => ({ kind: "text", bytes }));
}

const chatFlags = ["return_assistant_tokens_mask", "continue_final_message", "add_generation_prompt"];

const chatCompletions: OpenAiApi = {
  error: "invalid chat completions request: must have valid messages field",
  capKeys: ["max_completion_tokens", "max_tokens"],
  hasCacheSalt: true,
  readPrompt(body) {
    const tools = get(body, "tools");
    if (!isOptional(tools, "array") || !isOptional(get(body, "documents"), "array")) return undefined;
    if (!isOptional(get(body, "chat_template"), "string")) return undefined;
    if (!isOptional(get(body, "chat_template_kwargs"), "object")) return undefined;
    for (const flag of chatFlags) if (!isOptional(get(body, flag), "true", "false")) return undefined;
    return chatPrompt(get(body, "messages"), tools);
  },
};

const completions: OpenAiApi = {
  error: "invalid completions request: must have prompt field",
  capKeys: ["max_tokens"],
  hasCacheSalt: true,
  readPrompt: (body) => listPrompt(get(body, "prompt"), false),
};

const embeddings: OpenAiApi = {
  error: "invalid embeddings request: must have input field",
  capKeys: [],
  hasCacheSalt: true,
  readPrompt: (body) => listPrompt(get(body, "input"), true),
};

const imageCounts = ["n", "num_inference_steps"];

const images: OpenAiApi = {
  error: "invalid images generations request: must have prompt field",
  capKeys: [],
  hasCacheSalt: false,
  readPrompt(body) {
    const prompt = get(body, "prompt");
    if (!isOptional(get(body, "size"), "string")) return undefined;
    for (const key of imageCounts) {
      const count = get(body, key);
      if (!isOptional(count) && !isIntegerLiteral(count)) return undefined;
    }
    return prompt?.kind === "string" && prompt.end - prompt.start > 2 ? noPrompt : undefined;
  },
};

const suffixes: readonly (readonly [suffix: string, api: OpenAiApi])[] = [
  ["/conversations", conversations],
  ["/responses", responses],
  ["/chat/completions", chatCompletions],
  ["/chat/completions/render", chatCompletions],
  ["/completions", completions],
  ["/completions/render", completions],
  ["/embeddings", embeddings],
  ["/images/generations", images],
];

/** Finds the format of the bodies sent to a path; completions for a path of another API. One trailing slash may follow. */
export function openAiApi(path: string): OpenAiApi {
  const trimmed = path.endsWith("/") ? path.slice(0, -1) : path;
  const absolute = trimmed.startsWith("/") ? trimmed : `/${trimmed}`;
  for (const [suffix, api] of suffixes) if (absolute.endsWith(suffix)) return api;
  return completions;
}
