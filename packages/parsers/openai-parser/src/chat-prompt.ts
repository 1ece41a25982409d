import { type PromptSegment, zeroedBytes } from "@pointsman/core";
import { isOptional, isString, maxPromptParts, type Prompt, tooManyParts } from "@pointsman/core/body";
import {
  elements,
  get,
  type JsonDocument,
  type JsonValue,
  keepValue,
  members,
  rawBytes,
  writeStringBytes,
} from "@pointsman/core/json";

const text = 0;
const image = 1;
const video = 2;
const audio = 3;
/** Two spans make one reference: the data and its format. */
const audioWithFormat = 4;

/** Ints per span: what it is, where the string starts, where it ends; the end is complemented when there are escapes. */
const spanInts = 3;

/**
 * Checks the messages of a chat and notes where their roles, texts and media stand.
 * Missing values: undefined when there is no message, or one is not in the form the API has for it. Errors: a text when
 * there are too many messages and blocks. Cost: O(messages), three integers for each part.
 */
export function chatPrompt(messages: JsonValue | undefined, tools: JsonValue | undefined): Prompt | string | undefined {
  if (messages?.kind !== "array") return undefined;
  const spans: number[] = [];
  const list = elements(messages);
  let count = 0;
  while (list.next()) {
    const parts = noteMessage(list, spans);
    if (parts === undefined) return undefined;
    count += parts;
    if (count > maxPromptParts) return tooManyParts;
  }
  if (count === 0) return undefined;
  return { tokenIds: undefined, segments: () => [readSegments(messages.document, spans, tools)] };
}

/** Returns the parts of a message: one, and one for each block. Missing values: undefined when it has another form. */
function noteMessage(message: JsonValue, spans: number[]): number | undefined {
  if (message.kind !== "object") return message.kind === "null" ? 1 : undefined;
  let role: JsonValue | undefined;
  let content: JsonValue | undefined;
  let toolCalls: JsonValue | undefined;
  const fields = members(message);
  while (fields.next()) {
    if (fields.keyIs("role")) role = keepValue(fields);
    else if (fields.keyIs("content")) content = keepValue(fields);
    else if (fields.keyIs("tool_calls")) toolCalls = keepValue(fields);
  }
  if (!isOptional(role, "string") || !isOptional(content, "string", "array")) return undefined;
  if (!isOptional(toolCalls, "array")) return undefined;
  note(spans, text, role);
  note(spans, text, content);
  const blocks = elements(content);
  let parts = 1;
  while (blocks.next() && parts <= maxPromptParts) {
    if (!noteBlock(blocks, spans)) return undefined;
    parts++;
  }
  return parts;
}

function noteBlock(block: JsonValue, spans: number[]): boolean {
  if (block.kind !== "object") return block.kind === "null";
  let type: JsonValue | undefined;
  let content: JsonValue | undefined;
  let imageUrl: JsonValue | undefined;
  let videoUrl: JsonValue | undefined;
  let audioUrl: JsonValue | undefined;
  let inputAudio: JsonValue | undefined;
  const fields = members(block);
  while (fields.next()) {
    if (fields.keyIs("type")) type = keepValue(fields);
    else if (fields.keyIs("text")) content = keepValue(fields);
    else if (fields.keyIs("image_url")) imageUrl = keepValue(fields);
    else if (fields.keyIs("video_url")) videoUrl = keepValue(fields);
    else if (fields.keyIs("audio_url")) audioUrl = keepValue(fields);
    else if (fields.keyIs("input_audio")) inputAudio = keepValue(fields);
  }
  if (!isOptional(type, "string") || !isOptional(content, "string") || !isOptional(inputAudio, "object")) return false;
  if (!isMediaUrl(imageUrl) || !isMediaUrl(videoUrl) || !isMediaUrl(audioUrl)) return false;
  const data = get(inputAudio, "data");
  const format = get(inputAudio, "format");
  if (!isOptional(data, "string") || !isOptional(format, "string")) return false;
  if (isString(type, "text")) note(spans, text, content);
  else if (isString(type, "image_url")) note(spans, image, urlOf(imageUrl));
  else if (isString(type, "video_url")) note(spans, video, urlOf(videoUrl));
  else if (isString(type, "audio_url")) note(spans, audio, urlOf(audioUrl));
  else if (isString(type, "input_audio")) {
    if (data?.kind === "string" && format?.kind === "string") {
      note(spans, audioWithFormat, data);
      note(spans, audioWithFormat, format);
    } else note(spans, audio, data);
  }
  return true;
}

/** The API has an object with the URL; engines take the bare URL as well. */
function isMediaUrl(value: JsonValue | undefined): boolean {
  return isOptional(value, "object", "string") && isOptional(get(value, "url"), "string");
}

function urlOf(value: JsonValue | undefined): JsonValue | undefined {
  return value?.kind === "string" ? value : get(value, "url");
}

function note(spans: number[], what: number, value: JsonValue | undefined): void {
  if (value?.kind === "string") spans.push(what, value.start, value.escaped ? ~value.end : value.end);
}

function readSegments(
  document: JsonDocument,
  spans: readonly number[],
  tools: JsonValue | undefined,
): readonly PromptSegment[] {
  const segments: PromptSegment[] = [];
  if (elements(tools).next() && tools !== undefined) segments.push({ kind: "text", bytes: rawBytes(tools) });
  // One piece of memory for all that is not a view of the body.
  const copies = zeroedBytes(copiedBytes(spans));
  let copied = 0;
  for (let at = 0; at < spans.length; at += spanInts) {
    const what = spans[at]!;
    let bytes: Uint8Array;
    if (!isCopied(spans, at)) {
      bytes = document.bytes.subarray(spans[at + 1]! + 1, spans[at + 2]! - 1);
    } else {
      const start = copied;
      copied += writeStringBytes(stringAt(document, spans, at), copies, copied) ?? 0;
      if (what === audioWithFormat) {
        at += spanInts;
        copied += writeStringBytes(stringAt(document, spans, at), copies, copied) ?? 0;
      }
      bytes = copies.subarray(start, copied);
    }
    // An empty text or URL adds nothing to a prompt.
    if (bytes.length === 0) continue;
    if (what === text) segments.push({ kind: "text", bytes });
    else segments.push({ kind: "media", modality: modalityOf(what), reference: bytes });
  }
  return segments;
}

/** A string with escapes is decoded, one in two parts is put together. */
function isCopied(spans: readonly number[], at: number): boolean {
  return spans[at] === audioWithFormat || spans[at + 2]! < 0;
}

/** Bytes that hold all copied strings: decoding makes none longer. */
function copiedBytes(spans: readonly number[]): number {
  let bytes = 0;
  for (let at = 0; at < spans.length; at += spanInts) {
    const end = spans[at + 2]!;
    if (isCopied(spans, at)) bytes += (end < 0 ? ~end : end) - spans[at + 1]!;
  }
  return bytes;
}

function stringAt(document: JsonDocument, spans: readonly number[], at: number): JsonValue {
  const start = spans[at + 1]!;
  const end = spans[at + 2]!;
  const escaped = end < 0;
  return { document, kind: "string", start, end: escaped ? ~end : end, escaped };
}

function modalityOf(what: number): "image" | "video" | "audio" {
  if (what === image) return "image";
  return what === video ? "video" : "audio";
}
