import {
  elements,
  get,
  type JsonDocument,
  type JsonValue,
  keepValue,
  numberValue,
  stringValue,
} from "@pointsman/core/json";
import { editObject } from "../body/edit-object.ts";
import { jsonText } from "../body/json-text.ts";

/** What one short answer of the decode server says. */
export interface ChunkReply {
  readonly document: JsonDocument;
  readonly choice: JsonValue | undefined;
  readonly text: string;
  /** Empty when the server gives none. */
  readonly finishReason: string;
  /** Missing values: undefined when the server does not report it. */
  readonly completionTokens: number | undefined;
  /** Text of the answer is not all of it: it thinks aloud or calls tools, which cannot be continued. */
  readonly hasOtherOutput: boolean;
}

export function readChunk(document: JsonDocument): ChunkReply {
  const { root } = document;
  const choices = elements(get(root, "choices"));
  const choice = choices.next() ? keepValue(choices) : undefined;
  const message = get(choice, "message");
  return {
    document,
    choice,
    text: stringValue(get(message, "content")) ?? "",
    finishReason: stringValue(get(choice, "finish_reason")) ?? "",
    completionTokens: numberValue(get(get(root, "usage"), "completion_tokens")),
    hasOtherOutput:
      isFilled(get(message, "reasoning_content")) ||
      isFilled(get(message, "reasoning")) ||
      isFilled(get(message, "tool_calls")) ||
      isFilled(get(message, "function_call")),
  };
}

/** Usage of all chunks together, as JSON text: the first chunk's report with other sums. */
export function totalUsage(
  first: ChunkReply,
  completionTokens: number,
  cachedTokens: Uint8Array | undefined,
): Uint8Array {
  const usage = get(first.document.root, "usage");
  const promptTokens = numberValue(get(usage, "prompt_tokens")) ?? 0;
  const edits = new Map<string, Uint8Array>([
    ["completion_tokens", jsonText(completionTokens)],
    ["total_tokens", jsonText(promptTokens + completionTokens)],
  ]);
  if (get(usage, "prompt_tokens") === undefined) edits.set("prompt_tokens", jsonText(promptTokens));
  if (cachedTokens !== undefined) {
    const details = editObject(get(usage, "prompt_tokens_details"), new Map([["cached_tokens", cachedTokens]]));
    edits.set("prompt_tokens_details", Buffer.concat(details));
  }
  return Buffer.concat(editObject(usage, edits));
}

/** One answer out of all chunks: the last with the id of the first, the whole text and the sums. */
export function joinedReply(first: ChunkReply, last: ChunkReply, text: string, usage: Uint8Array): Uint8Array {
  const message = editObject(get(last.choice, "message"), new Map([["content", jsonText(text)]]));
  const choice = editObject(last.choice, new Map([["message", Buffer.concat(message)]]));
  const edits = new Map<string, Uint8Array>([
    ["choices", Buffer.concat([Buffer.from("["), ...choice, Buffer.from("]")])],
    ["usage", usage],
  ]);
  for (const key of ["id", "created"]) {
    const value = get(first.document.root, key);
    if (value !== undefined) edits.set(key, value.document.bytes.subarray(value.start, value.end));
  }
  return Buffer.concat(editObject(last.document.root, edits));
}

function isFilled(value: JsonValue | undefined): boolean {
  if (value === undefined || value.kind === "null") return false;
  if (value.kind === "string") return value.end - value.start > 2;
  return value.kind !== "array" || elements(value).next();
}
