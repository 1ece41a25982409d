import {
  type AnyPluginDefinition,
  type AttributeType,
  defineAttribute,
  definePlugin,
  type Endpoint,
  PREFIX_MATCH,
  type PrefixMatch,
  prefillTarget,
} from "@pointsman/core";
import { type NoHitLruScorerParams, noHitLruScorerParams } from "./params.ts";
import { RecentlyUsed } from "./recently-used.ts";

/** Whether no candidate holds anything of the request's prompt; what the last profile that ran found. */
const COLD_PROMPT: AttributeType<boolean> = defineAttribute({
  dataType: "NoHitLruColdPrompt",
  scope: "request",
  defaultProducer: "no-hit-lru-scorer",
});

const neutralScore = 0.5;
const maxDumpedEndpoints = 100;

/** Tells whether no candidate holds the start of the prompt; true also where nothing is known. */
export function isCold(match: PrefixMatch | undefined, candidates: readonly Endpoint[]): boolean {
  if (match === undefined) return true;
  for (let i = 0; i < candidates.length; i++) {
    if ((match.matchedBlocks[candidates[i]!.slot] ?? 0) > 0) return false;
  }
  return true;
}

export const noHitLruScorer: AnyPluginDefinition = definePlugin<NoHitLruScorerParams>({
  type: "no-hit-lru-scorer",
  kind: "scorer",
  stability: "beta",
  summary:
    "For prompts no candidate has cached: 1 = longest without such a prompt, 0 = the last one; else 0.5 for all.",
  params: noHitLruScorerParams,
  consumes: ({ prefixMatchInfoProducerName }) => ({ required: [PREFIX_MATCH.from(prefixMatchInfoProducerName)] }),
  produces: (_params, name) => [COLD_PROMPT.from(name)],
  create(params, host) {
    for (const name of params.ignored) {
      host.logger.warn({ parameter: name }, "deprecated parameter is ignored: use prefixMatchInfoProducerName");
    }
    const matches = host.requestReader(PREFIX_MATCH.from(params.prefixMatchInfoProducerName));
    const writeCold = host.requestWriter(COLD_PROMPT.from(host.name));
    const readCold = host.requestReader(COLD_PROMPT.from(host.name));
    const used = new RecentlyUsed(params.lruSize);

    const use = (endpoint: Endpoint): void => {
      // A decision may come after its endpoint has gone.
      if (used.has(endpoint) || host.endpoints().includes(endpoint)) used.use(endpoint);
    };

    return {
      score(request, endpoints, out) {
        const cold = isCold(matches.get(request), endpoints);
        writeCold.set(request, cold);
        if (cold) used.score(endpoints, out);
        else out.fill(neutralScore);
      },

      preRequest(request, result) {
        if (readCold.get(request) !== true) return undefined;
        const target = result.profiles.get(result.primaryProfile)?.targets[0];
        if (target !== undefined) use(target);
        const prefill = prefillTarget(result);
        if (prefill !== undefined) use(prefill);
        return undefined;
      },

      endpointChanged({ type, endpoint }) {
        if (type === "delete") used.forget(endpoint);
      },

      dumpState: () => ({
        endpoints: used.oldestIds(maxDumpedEndpoints),
        totalEndpoints: used.size,
        maxEndpoints: maxDumpedEndpoints,
      }),
    };
  },
});
