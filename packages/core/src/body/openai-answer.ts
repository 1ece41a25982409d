import { get, type JsonValue } from "../json/index.ts";
import type { Usage } from "../plugin/parser.ts";
import type { AnswerFormat } from "./answer-format.ts";
import { tokenCount } from "./token-count.ts";

/** Answers of the OpenAI API, and of engines that report usage as it does. */
export const openAiAnswer: AnswerFormat = {
  answerUsage: (answer) => mergedUsage(undefined, get(answer, "usage")),
  usageKey: "usage",
  eventUsage(before, event) {
    const usage = get(event, "usage");
    return mergedUsage(before, usage?.kind === "object" ? usage : get(get(event, "response"), "usage"));
  },
  countsEvents: true,
  modelHolder: "response",
};

/**
 * Reads a `usage` object and lays it over what was reported before: each count reported again replaces the former.
 * Counts are whole numbers, in strings too; a fraction is cut off, anything else is missing. The total is that reported
 * beside both parts, else their sum.
 * Missing values: `before` when `value` is not an object.
 */
function mergedUsage(before: Usage | undefined, value: JsonValue | undefined): Usage | undefined {
  if (value?.kind !== "object") return before;
  const prompt = firstCount(value, "prompt_tokens", "input_tokens");
  const completion = firstCount(value, "completion_tokens", "output_tokens");
  const total = tokenCount(get(value, "total_tokens"));
  const cached =
    tokenCount(get(get(value, "input_tokens_details"), "cached_tokens")) ??
    tokenCount(get(get(value, "prompt_tokens_details"), "cached_tokens"));
  const promptTokens = prompt ?? before?.promptTokens;
  const completionTokens = completion ?? before?.completionTokens;
  return {
    promptTokens,
    completionTokens,
    totalTokens: totalOf(total, prompt !== undefined && completion !== undefined, promptTokens, completionTokens),
    cachedTokens: cached ?? before?.cachedTokens,
  };
}

function totalOf(
  reported: number | undefined,
  besideBoth: boolean,
  promptTokens: number | undefined,
  completionTokens: number | undefined,
): number | undefined {
  if (reported !== undefined && besideBoth) return reported;
  if (promptTokens !== undefined && completionTokens !== undefined) return promptTokens + completionTokens;
  return reported ?? promptTokens ?? completionTokens;
}

function firstCount(usage: JsonValue, key: string, otherKey: string): number | undefined {
  const value = get(usage, key);
  return tokenCount(value === undefined || value.kind === "null" ? get(usage, otherKey) : value);
}
