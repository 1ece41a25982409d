import {
  type AnyPluginDefinition,
  type AttributeType,
  defineAttribute,
  definePlugin,
  ENCODER_MATCH,
  slotTableLength,
  TOKENIZED_PROMPT,
  zeroedFloat64,
} from "@pointsman/core";
import { EncoderCacheMetrics } from "./encoder-cache-metrics.ts";
import { EncoderCaches } from "./encoder-caches.ts";
import { type MmEmbeddingsCacheParams, mmEmbeddingsCacheParams } from "./params.ts";
import { type RequestItem, requestItems } from "./request-items.ts";

/** A request's items, kept on it until it is decided. */
const REQUEST_ITEMS: AttributeType<readonly RequestItem[]> = defineAttribute({
  dataType: "MultiModalItems",
  scope: "request",
  defaultProducer: "mm-embeddings-cache-producer",
});

const sweepIntervalMs = 120_000;
const maxDumpedEndpoints = 100;

export const mmEmbeddingsCacheProducer: AnyPluginDefinition = definePlugin<MmEmbeddingsCacheParams>({
  type: "mm-embeddings-cache-producer",
  kind: "producer",
  stability: "beta",
  summary: "Produces how many of a request's images, videos and sounds each endpoint should hold as encoder output.",
  params: mmEmbeddingsCacheParams,
  consumes: () => ({ required: [TOKENIZED_PROMPT.from()] }),
  produces: (_params, name) => [ENCODER_MATCH.from(name), REQUEST_ITEMS.from(name)],
  readsBody: ["request"],
  create({ itemsPerEndpoint }, host) {
    const tokens = host.requestReader(TOKENIZED_PROMPT.from());
    const writeMatch = host.requestWriter(ENCODER_MATCH.from(host.name));
    const writeItems = host.requestWriter(REQUEST_ITEMS.from(host.name));
    const readItems = host.requestReader(REQUEST_ITEMS.from(host.name));
    const caches = new EncoderCaches(itemsPerEndpoint, () => host.endpoints());
    const metrics = new EncoderCacheMetrics(host);
    host.timers.every(sweepIntervalMs, () => {
      caches.sweep();
      metrics.keepOnly(new Set(host.endpoints().map(({ id }) => id)));
    });

    return {
      produce(request, endpoints) {
        const items = requestItems(tokens.get(request));
        if (items.length === 0) return;
        const matchedSize = zeroedFloat64(slotTableLength(endpoints));
        const candidates = new Set(endpoints);
        for (const { hash, modality } of items) {
          metrics.countQuery(modality);
          for (const { endpoint } of caches.holders(hash)) {
            if (!candidates.has(endpoint)) continue;
            matchedSize[endpoint.slot]! += 1;
            metrics.countHit(endpoint, modality);
          }
        }
        for (let i = 0; i < endpoints.length; i++) {
          metrics.observeRatio(matchedSize[endpoints[i]!.slot]! / items.length);
        }
        writeItems.set(request, items);
        writeMatch.set(request, { requestSize: items.length, matchedSize });
      },

      preRequest(request, result) {
        const items = readItems.get(request);
        if (items === undefined) return undefined;
        writeItems.set(request, undefined);
        const hashes = items.map(({ hash }) => hash);
        for (const target of result.profiles.get(result.primaryProfile)?.targets ?? []) caches.add(target, hashes);
        return undefined;
      },

      endpointChanged(event) {
        caches.endpointChanged(event);
        if (event.type === "delete") metrics.remove(event.endpoint.id);
      },

      dumpState() {
        const pods = Array.from(caches.sizes(), ([pod, items]) => ({ pod, items }));
        pods.sort((a, b) => b.items - a.items);
        return { pods: pods.slice(0, maxDumpedEndpoints), totalPods: pods.length, maxPods: maxDumpedEndpoints };
      },
    };
  },
});
