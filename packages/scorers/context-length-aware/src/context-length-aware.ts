import { type AnyPluginDefinition, definePlugin, type Endpoint, TOKENIZED_PROMPT } from "@pointsman/core";
import { type LengthRange, LengthRanges } from "./length-range.ts";
import { type ContextLengthAwareParams, contextLengthAwareParams } from "./params.ts";

const neutralScore = 0.5;

/**
 * Score of a range for a prompt: 0.3 to 1 in range, higher for narrow ranges and those with room above the prompt;
 * below 0.3 out of range, and lower the farther away. Never throws.
 */
export function scoreRange(promptTokens: number, { minTokens, maxTokens }: LengthRange): number {
  if (promptTokens < minTokens) return 0.3 / (1 + (minTokens - promptTokens) / 1000);
  if (promptTokens > maxTokens) return 0.3 / (1 + (promptTokens - maxTokens) / 1000);
  const width = maxTokens - minTokens;
  if (width === 0) return 1;
  return 0.3 + 0.7 * (0.7 / (1 + width / 10_000) + (0.3 * (maxTokens - promptTokens)) / width);
}

/**
 * Keeps endpoints without a range and those whose range holds the prompt, in their order; the same array when all stay.
 * An endpoint whose range cannot be read is dropped. O(n), one array when one goes.
 */
export function keepInRange(
  promptTokens: number,
  endpoints: readonly Endpoint[],
  ranges: LengthRanges,
): readonly Endpoint[] {
  let kept: Endpoint[] | undefined;
  for (let i = 0; i < endpoints.length; i++) {
    const endpoint = endpoints[i]!;
    const range = ranges.of(endpoint);
    const keep =
      range === "unlabelled" ||
      (range !== "unreadable" && promptTokens >= range.minTokens && promptTokens <= range.maxTokens);
    if (!keep) kept ??= endpoints.slice(0, i);
    else kept?.push(endpoint);
  }
  return kept ?? endpoints;
}

export const contextLengthAware: AnyPluginDefinition = definePlugin<ContextLengthAwareParams>({
  type: "context-length-aware",
  kind: "scorer",
  stability: "beta",
  summary:
    "Near 1 = labelled for prompts of this length, 0.5 = no label, below 0.3 = for other lengths; may filter too.",
  params: contextLengthAwareParams,
  consumes: () => ({ required: [TOKENIZED_PROMPT.from()] }),
  create({ label, enableFiltering }, host) {
    const prompts = host.requestReader(TOKENIZED_PROMPT.from());
    const ranges = new LengthRanges(label);
    return {
      filter(request, endpoints) {
        const promptTokens = prompts.get(request)?.totalTokens;
        return enableFiltering && promptTokens !== undefined ? keepInRange(promptTokens, endpoints, ranges) : endpoints;
      },

      score(request, endpoints, out) {
        const promptTokens = prompts.get(request)?.totalTokens;
        if (promptTokens === undefined) {
          out.fill(neutralScore);
          return;
        }
        for (let i = 0; i < endpoints.length; i++) {
          const range = ranges.of(endpoints[i]!);
          if (range === "unlabelled") out[i] = neutralScore;
          else out[i] = range === "unreadable" ? 0 : scoreRange(promptTokens, range);
        }
      },
    };
  },
});
