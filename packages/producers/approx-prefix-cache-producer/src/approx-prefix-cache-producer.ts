import {
  type AnyPluginDefinition,
  type AttributeType,
  CACHE_BLOCK_SIZE,
  CACHE_NUM_BLOCKS,
  defineAttribute,
  definePlugin,
  type Endpoint,
  PREFIX_MATCH,
  prefillTarget,
  slotTableLength,
  TOKENIZED_PROMPT,
  zeroedInt32,
} from "@pointsman/core";
import { PrefixHasher, type PromptHashes } from "@pointsman/core/xxh64";
import { BlockSizing } from "./block-sizing.ts";
import { EndpointRecords } from "./endpoint-records.ts";
import { type ApproxPrefixCacheParams, approxPrefixCacheParams } from "./params.ts";
import { PrefixIndex } from "./prefix-index.ts";
import { PrefixMetrics } from "./prefix-metrics.ts";

/** A request's hashes, kept on it until it is decided. */
const PROMPT_HASHES: AttributeType<PromptHashes> = defineAttribute({
  dataType: "ApproxPrefixHashes",
  scope: "request",
  defaultProducer: "approx-prefix-cache-producer",
});

const sizeIntervalMs = 1000;
const sweepIntervalMs = 120_000;
const maxDumpedEndpoints = 100;

export const approxPrefixCacheProducer: AnyPluginDefinition = definePlugin<ApproxPrefixCacheParams>({
  type: "approx-prefix-cache-producer",
  variants: [{ type: "multicluster-approx-prefix-cache-producer", stability: "alpha" }],
  kind: "producer",
  stability: "beta",
  summary:
    "Produces how much of the prompt each endpoint should hold, from which endpoints got the same beginning before.",
  params: approxPrefixCacheParams,
  consumes: ({ autoTune }) => ({
    required: [TOKENIZED_PROMPT.from()],
    optional: autoTune ? [CACHE_BLOCK_SIZE, CACHE_NUM_BLOCKS] : [],
  }),
  produces: (_params, name) => [PREFIX_MATCH.from(name), PROMPT_HASHES.from(name)],
  readsBody: ["request"],
  create(params, host) {
    if (params.usesBlockSize) host.logger.warn({}, "parameter blockSize is deprecated: use blockSizeTokens");
    const tokens = host.requestReader(TOKENIZED_PROMPT.from());
    const writeMatch = host.requestWriter(PREFIX_MATCH.from(host.name));
    const readMatch = host.requestReader(PREFIX_MATCH.from(host.name));
    const writeHashes = host.requestWriter(PROMPT_HASHES.from(host.name));
    const readHashes = host.requestReader(PROMPT_HASHES.from(host.name));
    const sizing = new BlockSizing(params, host);
    const hasher = new PrefixHasher();
    const index = new PrefixIndex(Math.floor(host.random() * 0x1_0000_0000));
    const records = new EndpointRecords(index, host);
    const metrics = new PrefixMetrics(host);
    host.timers.every(sizeIntervalMs, () => metrics.setSize(index.entries));
    host.timers.every(sweepIntervalMs, () => records.sweep());

    const record = (endpoint: Endpoint, hashes: PromptHashes): void => {
      if (!records.follow(endpoint, sizing.capacityBlocks(endpoint, hashes.blockSizeTokens))) return;
      let start = 0;
      for (const end of hashes.ends) {
        index.insert(endpoint.id, hashes.words, start, end);
        start = end;
      }
    };

    return {
      produce(request, endpoints) {
        const prompts = tokens.get(request)?.prompts ?? [];
        const blockSizeTokens = sizing.blockSizeTokens(endpoints);
        const maxBlocks = sizing.maxBlocks(blockSizeTokens);
        const salt = request.body.cacheSalt ?? "";
        const hashes = hasher.hash(prompts, request.targetModel, salt, blockSizeTokens, maxBlocks);
        const matchedBlocks = zeroedInt32(slotTableLength(endpoints));
        let start = 0;
        for (const end of hashes.ends) {
          index.match(hashes.words, start, end, matchedBlocks);
          start = end;
        }
        writeHashes.set(request, hashes);
        writeMatch.set(request, { totalBlocks: start, blockSizeTokens, matchedBlocks, cachedBlocks: matchedBlocks });
      },

      preRequest(request, result) {
        const hashes = readHashes.get(request);
        const target = result.profiles.get(result.primaryProfile)?.targets[0];
        if (hashes === undefined || target === undefined) return undefined;
        writeHashes.set(request, undefined);
        const match = readMatch.get(request);
        metrics.observeHit(match?.matchedBlocks[target.slot] ?? 0, match?.totalBlocks ?? 0, hashes.blockSizeTokens);
        record(target, hashes);
        const prefill = prefillTarget(result);
        if (prefill !== undefined && prefill !== target) record(prefill, hashes);
        return undefined;
      },

      endpointChanged: (event) => records.endpointChanged(event),

      dumpState() {
        const pods = Array.from(index.endpointIds(), (id) => ({ pod: id, blocks: index.blocksOf(id) }));
        pods.sort((a, b) => b.blocks - a.blocks);
        return {
          pods: pods.slice(0, maxDumpedEndpoints),
          totalPods: pods.length,
          maxPods: maxDumpedEndpoints,
          memoryBytes: index.memoryBytes,
        };
      },
    };
  },
});
