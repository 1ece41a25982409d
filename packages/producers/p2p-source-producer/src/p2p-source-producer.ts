import {
  type AnyPluginDefinition,
  type AttributeType,
  defineAttribute,
  definePlugin,
  PREFIX_MATCH,
  prefillTarget,
  WAITING_QUEUE_SIZE,
  wireNames,
} from "@pointsman/core";
import { chooseSource, type KvSource, ownTokens } from "./choose-source.ts";
import { type P2pSourceParams, p2pSourceParams, usualPrefillProfile } from "./params.ts";

/** The endpoint that holds most of a request's prompt for others. */
const BEST_MATCH: AttributeType<KvSource> = defineAttribute({
  dataType: "best-match",
  scope: "request",
  defaultProducer: "p2p-source-producer",
});

export const p2pSourceProducer: AnyPluginDefinition = definePlugin<P2pSourceParams>({
  type: "p2p-source-producer",
  kind: "producer",
  stability: "alpha",
  summary: "Names, in a header, an endpoint from which the chosen one can fetch the KV cache blocks it lacks.",
  params: p2pSourceParams,
  consumes: ({ prefixMatchInfoProducerName }) => ({
    required: [PREFIX_MATCH.from(prefixMatchInfoProducerName)],
    optional: [WAITING_QUEUE_SIZE],
  }),
  produces: (_params, name) => [BEST_MATCH.from(name)],
  create({ prefixMatchInfoProducerName, minCachedTokenDelta, prefillProfileName }, host) {
    const matches = host.requestReader(PREFIX_MATCH.from(prefixMatchInfoProducerName));
    const waiting = host.endpointReader(WAITING_QUEUE_SIZE);
    const writeSource = host.requestWriter(BEST_MATCH.from(host.name));
    const readSource = host.requestReader(BEST_MATCH.from(host.name));

    return {
      produce(request, endpoints) {
        const match = matches.get(request);
        if (match === undefined) return;
        const waitingRequests = (endpoint: (typeof endpoints)[number]): number | undefined =>
          waiting.fresh(endpoint, request.nowMs);
        writeSource.set(request, chooseSource(match, endpoints, request.id, waitingRequests));
      },

      preRequest(request, result) {
        // Whoever else set it, the header says what this decision says.
        request.upstreamHeaders.delete(wireNames.kvSourceHostPort);
        const source = readSource.get(request);
        writeSource.set(request, undefined);
        const match = matches.get(request);
        if (source === undefined || match === undefined) return undefined;
        const prefill =
          prefillProfileName === usualPrefillProfile
            ? prefillTarget(result)
            : result.profiles.get(prefillProfileName)?.targets[0];
        const computing = prefill ?? result.profiles.get(result.primaryProfile)?.targets[0];
        if (computing === undefined || computing === source.endpoint) return undefined;
        if (source.tokens - ownTokens(match, computing) < minCachedTokenDelta) return undefined;
        request.upstreamHeaders.set(wireNames.kvSourceHostPort, source.endpoint.hostPort);
        return undefined;
      },
    };
  },
});
