import type { Usage } from "@pointsman/core";
import { type AnswerFormat, isString, tokenCount } from "@pointsman/core/body";
import { get, type JsonValue } from "@pointsman/core/json";

/**
 * Answers of the Anthropic API. A stream tells what the prompt took in `message_start`, and what the answer took so far
 * in each `message_delta`. Engines that do not know the prompt at the start report 0 there, and tell it in the delta.
 */
export const anthropicAnswer: AnswerFormat = {
  answerUsage(answer) {
    const usage = get(answer, "usage");
    if (usage?.kind !== "object") return undefined;
    return withTotal(countOf(usage, "input_tokens"), countOf(usage, "output_tokens"), cachedOf(usage));
  },
  usageKey: "usage",
  eventUsage(before, event) {
    const type = get(event, "type");
    if (isString(type, "message_start")) {
      const usage = get(get(event, "message"), "usage");
      if (usage?.kind !== "object") return before;
      const promptTokens = countOf(usage, "input_tokens") ?? before?.promptTokens;
      return withTotal(promptTokens, before?.completionTokens, cachedOf(usage) ?? before?.cachedTokens);
    }
    if (isString(type, "message_delta")) {
      const usage = get(event, "usage");
      if (usage?.kind !== "object") return before;
      const promptTokens = countOf(usage, "input_tokens") || before?.promptTokens;
      const completionTokens = countOf(usage, "output_tokens") ?? before?.completionTokens;
      return withTotal(promptTokens, completionTokens, cachedOf(usage) || before?.cachedTokens);
    }
    return before;
  },
  countsEvents: false,
  modelHolder: "message",
};

function withTotal(
  promptTokens: number | undefined,
  completionTokens: number | undefined,
  cachedTokens: number | undefined,
): Usage {
  const isKnown = promptTokens !== undefined || completionTokens !== undefined;
  return {
    promptTokens,
    completionTokens,
    totalTokens: isKnown ? (promptTokens ?? 0) + (completionTokens ?? 0) : undefined,
    cachedTokens,
  };
}

function countOf(usage: JsonValue, key: string): number | undefined {
  return tokenCount(get(usage, key));
}

function cachedOf(usage: JsonValue): number | undefined {
  return countOf(usage, "cache_read_input_tokens");
}
