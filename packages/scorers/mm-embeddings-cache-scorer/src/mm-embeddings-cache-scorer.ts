import { type AnyPluginDefinition, definePlugin, ENCODER_MATCH } from "@pointsman/core";
import { type MmEmbeddingsCacheScorerParams, mmEmbeddingsCacheScorerParams } from "./params.ts";

/** Share of the request's items that an endpoint holds, 0 to 1; 0 where nothing is known. Never throws. */
export function scoreItems(matchedSize: number | undefined, requestSize: number): number {
  // Written so that NaN is nothing, too.
  if (matchedSize === undefined || !(matchedSize > 0) || !(requestSize > 0)) return 0;
  return Math.min(1, matchedSize / requestSize);
}

export const mmEmbeddingsCacheScorer: AnyPluginDefinition = definePlugin<MmEmbeddingsCacheScorerParams>({
  type: "mm-embeddings-cache-scorer",
  kind: "scorer",
  stability: "beta",
  summary: "1 = the endpoint holds the encoder output of all images, audio and video of the request, 0 = of none.",
  params: mmEmbeddingsCacheScorerParams,
  consumes: ({ producerName }) => ({ required: [ENCODER_MATCH.from(producerName)] }),
  create({ producerName }, host) {
    const matches = host.requestReader(ENCODER_MATCH.from(producerName));
    return {
      score(request, endpoints, out) {
        const match = matches.get(request);
        for (let i = 0; i < endpoints.length; i++) {
          // A slot beyond the table is unknown.
          out[i] = match === undefined ? 0 : scoreItems(match.matchedSize[endpoints[i]!.slot], match.requestSize);
        }
      },
    };
  },
});
