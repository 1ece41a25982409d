import { isOptional, maxPromptParts, TypeFaults, tooManyParts } from "@pointsman/core/body";
import { elements, get, type JsonCursor, type JsonValue, members } from "@pointsman/core/json";

const contentFault = "anthropic content: must be a string or an array of content blocks";

/** Content may hold blocks with content of their own, as results of tools do. What lies deeper is not looked at. */
const deepestContent = 2;

/** Messages, blocks and tools met so far. */
interface Parts {
  count: number;
}

const blockTexts = ["type", "text", "id", "name", "tool_use_id", "thinking"];
const sourceTexts = ["type", "media_type", "data", "url"];

/**
 * Tells what in a body is not of the type the messages API has for it, in Go's words.
 * Shape: content that is neither text nor blocks comes before all else, then the first fault in the body. Too many
 * messages, blocks and tools are a fault as well, which ends the check.
 * Missing values: undefined when all is of its type.
 */
export function messagesFault(root: JsonValue): string | undefined {
  const faults = new TypeFaults();
  const parts: Parts = { count: 0 };
  const messages = get(root, "messages");
  if (faults.expect(messages, "MessagesRequest.messages", "[]requesthandling.AnthropicMessage", "array")) {
    const list = elements(messages);
    while (list.next() && ++parts.count <= maxPromptParts) {
      if (!faults.expect(list, "MessagesRequest.messages", "requesthandling.AnthropicMessage", "object")) continue;
      const fields = members(list);
      while (fields.next()) {
        if (fields.keyIs("role")) faults.expect(fields, "AnthropicMessage.messages.role", "string", "string");
        else if (fields.keyIs("content") && !isContent(fields, 0, parts)) return contentFault;
      }
    }
  }
  if (!isContent(get(root, "system"), 0, parts)) return contentFault;
  checkTools(get(root, "tools"), faults, parts);
  if (parts.count > maxPromptParts) return tooManyParts;
  faults.expect(get(root, "cache_salt"), "MessagesRequest.cache_salt", "string", "string");
  return faults.text;
}

function isContent(content: JsonValue | undefined, depth: number, parts: Parts): boolean {
  if (!isOptional(content, "string", "array")) return false;
  const blocks = elements(content);
  while (blocks.next() && ++parts.count <= maxPromptParts) {
    if (blocks.kind === "null") continue;
    if (blocks.kind !== "object" || !isBlock(blocks, depth, parts)) return false;
  }
  return true;
}

function isBlock(block: JsonValue, depth: number, parts: Parts): boolean {
  const fields = members(block);
  while (fields.next()) {
    if (fields.keyIs("source")) {
      if (!isSource(fields)) return false;
    } else if (fields.keyIs("content")) {
      if (depth < deepestContent && !isContent(fields, depth + 1, parts)) return false;
    } else if (isOneOf(fields, blockTexts) && !isOptional(fields, "string")) return false;
  }
  return true;
}

function isSource(source: JsonValue): boolean {
  if (!isOptional(source, "object")) return false;
  const fields = members(source);
  while (fields.next()) if (isOneOf(fields, sourceTexts) && !isOptional(fields, "string")) return false;
  return true;
}

function isOneOf(field: JsonCursor, keys: readonly string[]): boolean {
  for (const key of keys) if (field.keyIs(key)) return true;
  return false;
}

function checkTools(tools: JsonValue | undefined, faults: TypeFaults, parts: Parts): void {
  if (!faults.expect(tools, "MessagesRequest.tools", "[]requesthandling.AnthropicTool", "array")) return;
  const list = elements(tools);
  while (list.next() && ++parts.count <= maxPromptParts) {
    if (!faults.expect(list, "MessagesRequest.tools", "requesthandling.AnthropicTool", "object")) continue;
    for (const key of ["name", "description"]) {
      faults.expect(get(list, key), `AnthropicTool.tools.${key}`, "string", "string");
    }
    for (const key of ["strict", "defer_loading"]) {
      faults.expect(get(list, key), `AnthropicTool.tools.${key}`, "bool", "true", "false");
    }
  }
}
