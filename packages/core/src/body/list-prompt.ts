import { elements, type JsonValue, rawBytes, stringBytes, uint32Values } from "../json/index.ts";
import type { PromptSegment } from "../plugin/parser.ts";
import { maxPromptParts, type Prompt, tooManyParts } from "./prompt.ts";

/**
 * Reads a field that is a text, a list of texts, or a list of token ids.
 * Missing values: undefined when it is neither, or empty. Errors: a text when it has too many parts. `asJson` gives text as one prompt of JSON as it stands, else
 * each text is a prompt of its own.
 */
export function listPrompt(value: JsonValue | undefined, asJson: boolean): Prompt | string | undefined {
  if (value?.kind === "string") return value.end - value.start > 2 ? textPrompt(value, asJson) : undefined;
  if (value?.kind !== "array") return undefined;
  const texts = elements(value);
  if (!texts.next()) return undefined;
  if (texts.kind !== "string") {
    const tokenIds = uint32Values(value);
    return tokenIds === undefined ? undefined : { segments: () => [], tokenIds: [tokenIds] };
  }
  let count = 1;
  while (texts.next()) {
    if (texts.kind !== "string") return undefined;
    count++;
  }
  if (count > maxPromptParts && !asJson) return tooManyParts;
  return textPrompt(value, asJson);
}

function textPrompt(value: JsonValue, asJson: boolean): Prompt {
  return {
    tokenIds: undefined,
    segments: () => {
      if (asJson) return [[{ kind: "text", bytes: rawBytes(value) }]];
      if (value.kind === "string") return [textOf(value)];
      const prompts: PromptSegment[][] = [];
      const texts = elements(value);
      while (texts.next()) prompts.push(textOf(texts));
      return prompts;
    },
  };
}

function textOf(value: JsonValue): PromptSegment[] {
  const bytes = stringBytes(value);
  return bytes === undefined || bytes.length === 0 ? [] : [{ kind: "text", bytes }];
}
