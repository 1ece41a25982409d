import type { PromptSegment } from "@pointsman/core";
import { isString } from "@pointsman/core/body";
import { elements, get, type JsonValue, members, rawBytes, stringBytes } from "@pointsman/core/json";

/** A text that a client puts first in the system prompt, new for each request. Engines leave it out. */
const billingHeader = Buffer.from("x-anthropic-billing-header");
const newline = Buffer.from("\n");

/** Reads the prompt of a checked body in the engine's order: tools as they stand, system, then message by message. */
export function messagesSegments(root: JsonValue): readonly PromptSegment[] {
  const segments: PromptSegment[] = [];
  const tools = get(root, "tools");
  if (tools !== undefined && elements(tools).next()) segments.push({ kind: "text", bytes: rawBytes(tools) });
  addSystem(segments, get(root, "system"));
  const messages = elements(get(root, "messages"));
  while (messages.next()) {
    addText(segments, get(messages, "role"));
    const content = get(messages, "content");
    addText(segments, content);
    const blocks = elements(content);
    while (blocks.next()) addBlock(segments, blocks);
  }
  return segments;
}

function addSystem(segments: PromptSegment[], system: JsonValue | undefined): void {
  addText(segments, system);
  const blocks = elements(system);
  while (blocks.next()) {
    if (!isString(get(blocks, "type"), "text")) continue;
    const bytes = stringBytes(get(blocks, "text"));
    if (bytes !== undefined && !startsWith(bytes, billingHeader)) addBytes(segments, bytes);
  }
}

/** Every kind of block has its own fields. */
function addBlock(segments: PromptSegment[], block: JsonValue): void {
  const type = get(block, "type");
  if (isString(type, "text")) addText(segments, get(block, "text"));
  else if (isString(type, "tool_result")) addResult(segments, get(block, "content"));
  else if (isString(type, "image")) addImage(segments, get(block, "source"));
  else if (isString(type, "thinking")) addText(segments, get(block, "thinking"));
  else if (isString(type, "tool_use")) {
    addText(segments, get(block, "id"));
    addText(segments, get(block, "name"));
    const input = get(block, "input");
    if (input !== undefined) segments.push({ kind: "text", bytes: rawBytes(input) });
  }
}

/** The texts of a tool's result, one in a line, then its images. */
function addResult(segments: PromptSegment[], content: JsonValue | undefined): void {
  addText(segments, content);
  let texts = 0;
  const blocks = elements(content);
  while (blocks.next()) {
    if (!isString(get(blocks, "type"), "text")) continue;
    if (texts++ > 0) addBytes(segments, newline);
    addText(segments, get(blocks, "text"));
  }
  const images = elements(content);
  while (images.next()) if (isString(get(images, "type"), "image")) addImage(segments, get(images, "source"));
}

/** An image by its URL; inline data becomes a data URL. */
function addImage(segments: PromptSegment[], source: JsonValue | undefined): void {
  let url: Uint8Array | undefined;
  let data: Uint8Array | undefined;
  let mediaType: Uint8Array | undefined;
  const fields = members(source);
  while (fields.next()) {
    if (fields.keyIs("url")) url = stringBytes(fields);
    else if (fields.keyIs("data")) data = stringBytes(fields);
    else if (fields.keyIs("media_type")) mediaType = stringBytes(fields);
  }
  if (url !== undefined && url.length > 0) {
    segments.push({ kind: "media", modality: "image", reference: url });
  } else if (data !== undefined && data.length > 0) {
    const type = mediaType === undefined || mediaType.length === 0 ? Buffer.from("image/jpeg") : mediaType;
    const reference = Buffer.concat([Buffer.from("data:"), type, Buffer.from(";base64,"), data]);
    segments.push({ kind: "media", modality: "image", reference });
  }
}

function addText(segments: PromptSegment[], value: JsonValue | undefined): void {
  const bytes = stringBytes(value);
  if (bytes !== undefined) addBytes(segments, bytes);
}

/** An empty text adds nothing to a prompt. */
function addBytes(segments: PromptSegment[], bytes: Uint8Array): void {
  if (bytes.length > 0) segments.push({ kind: "text", bytes });
}

function startsWith(bytes: Uint8Array, start: Uint8Array): boolean {
  return start.every((byte, i) => bytes[i] === byte);
}
