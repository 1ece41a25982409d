import {
  type AnyPluginDefinition,
  type Consumes,
  definePlugin,
  PREFIX_MATCH,
  type PrefixMatch,
  TOKENIZED_PROMPT,
} from "@pointsman/core";
import { type PrefixBasedPdDeciderParams, prefixBasedPdDeciderParams } from "./params.ts";

/** Without a threshold nothing is looked at, so that nothing has to be produced. */
function keysOf({ nonCachedTokens, prefixMatchInfoProducerName }: PrefixBasedPdDeciderParams): Consumes {
  if (nonCachedTokens === 0) return {};
  return { required: [TOKENIZED_PROMPT.from(), PREFIX_MATCH.from(prefixMatchInfoProducerName)] };
}

/**
 * Tokens of a prompt that the endpoint with this slot would have to compute, never below 0. `undefined` when nothing is
 * known about what it holds.
 */
export function nonCachedTokensOn(
  slot: number,
  promptTokens: number,
  match: PrefixMatch | undefined,
): number | undefined {
  const cachedBlocks = match?.cachedBlocks[slot];
  if (match === undefined || cachedBlocks === undefined) return undefined;
  return Math.max(0, promptTokens - Math.max(0, cachedBlocks) * match.blockSizeTokens);
}

export const prefixBasedPdDecider: AnyPluginDefinition = definePlugin<PrefixBasedPdDeciderParams>({
  type: "prefix-based-pd-decider",
  kind: "decider",
  stability: "beta",
  summary: "Says yes when enough of the prompt is not cached on the decode endpoint.",
  params: prefixBasedPdDeciderParams,
  consumes: keysOf,
  create(params, host) {
    const { nonCachedTokens, promptTokens, prefixMatchInfoProducerName } = params;
    if (nonCachedTokens === 0) {
      host.logger.warn({ nonCachedTokens }, "nonCachedTokens is 0: no request is disaggregated");
      return { disaggregate: () => false };
    }
    const prompts = host.requestReader(TOKENIZED_PROMPT.from());
    const matches = host.requestReader(PREFIX_MATCH.from(prefixMatchInfoProducerName));
    return {
      disaggregate(request, target) {
        if (target === undefined) return false;
        const tokens = prompts.get(request)?.totalTokens ?? 0;
        if (tokens < promptTokens || tokens < nonCachedTokens) return false;
        const nonCached = nonCachedTokensOn(target.slot, tokens, matches.get(request));
        return nonCached !== undefined && nonCached >= nonCachedTokens;
      },
    };
  },
});
