import type { Usage } from "@pointsman/core";
import { type AnswerFormat, tokenCount } from "@pointsman/core/body";
import { get, type JsonValue } from "@pointsman/core/json";

/**
 * Answers of SGLang's generate API, which count tokens in `meta_info`. Every event of a stream does; those before the
 * last have null as `finish_reason` and counts of the moment.
 */
export const sglangAnswer: AnswerFormat = {
  answerUsage: (answer) => usageOf(get(answer, "meta_info")),
  usageKey: "finish_reason",
  eventUsage(before, event) {
    const metaInfo = get(event, "meta_info");
    const finishReason = get(metaInfo, "finish_reason");
    if (finishReason === undefined || finishReason.kind === "null") return before;
    return usageOf(metaInfo) ?? before;
  },
  countsEvents: false,
  modelHolder: undefined,
};

function usageOf(metaInfo: JsonValue | undefined): Usage | undefined {
  const promptTokens = tokenCount(get(metaInfo, "prompt_tokens"));
  const completionTokens = tokenCount(get(metaInfo, "completion_tokens"));
  if (promptTokens === undefined && completionTokens === undefined) return undefined;
  return {
    promptTokens,
    completionTokens,
    totalTokens: (promptTokens ?? 0) + (completionTokens ?? 0),
    cachedTokens: tokenCount(get(metaInfo, "cached_tokens")),
  };
}
