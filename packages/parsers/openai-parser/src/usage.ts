import type { Usage } from "@pointsman/core";
import { get, type JsonValue, numberValue, stringValue } from "@pointsman/core/json";

/** Longest text that is read as a number. Bytes. */
const longestNumber = 32;

/**
 * Reads a `usage` object and lays it over what was reported before: each count reported again replaces the former.
 * Counts are whole numbers, in strings too; a fraction is cut off, anything else is missing. The total is that reported
 * beside both parts, else their sum.
 * Missing values: `before` when `value` is not an object.
 */
export function mergedUsage(before: Usage | undefined, value: JsonValue | undefined): Usage | undefined {
  if (value?.kind !== "object") return before;
  const prompt = firstCount(value, "prompt_tokens", "input_tokens");
  const completion = firstCount(value, "completion_tokens", "output_tokens");
  const total = countOf(get(value, "total_tokens"));
  const cached =
    countOf(get(get(value, "input_tokens_details"), "cached_tokens")) ??
    countOf(get(get(value, "prompt_tokens_details"), "cached_tokens"));
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
  return countOf(value === undefined || value.kind === "null" ? get(usage, otherKey) : value);
}

function countOf(value: JsonValue | undefined): number | undefined {
  let count = numberValue(value);
  if (value?.kind === "string" && value.end - value.start - 2 <= longestNumber) {
    const text = stringValue(value)!.trim();
    if (text !== "") count = Number(text);
  }
  if (count === undefined || !(count >= 0) || count > Number.MAX_SAFE_INTEGER) return undefined;
  return Math.floor(count);
}
