import {
  type AnyPluginDefinition,
  definePlugin,
  type Endpoint,
  type InferenceRequest,
  PREFIX_MATCH,
  type PrefixMatch,
  RUNNING_REQUESTS_SIZE,
  slotTableLength,
  TOKENIZED_PROMPT,
  zeroedInt32,
} from "@pointsman/core";
import { PrefixHasher } from "@pointsman/core/xxh64";
import { type BurstPrefixCacheParams, burstPrefixCacheParams } from "./params.ts";
import { type BurstEntry, placeBurst } from "./place-burst.ts";
import { blockCount } from "./shared-blocks.ts";

/** What placing a window may take beyond the window itself. */
const placementAllowanceMs = 300;

interface WaitingRequest extends BurstEntry {
  readonly request: InferenceRequest;
  readonly resolve: () => void;
}

export const burstPrefixCacheProducer: AnyPluginDefinition = definePlugin<BurstPrefixCacheParams>({
  type: "burst-prefix-cache-producer",
  kind: "producer",
  stability: "alpha",
  summary: "Produces a full prefix match on one endpoint for requests that arrive together and share a prompt.",
  params: burstPrefixCacheParams,
  consumes: () => ({ required: [TOKENIZED_PROMPT.from()], optional: [RUNNING_REQUESTS_SIZE] }),
  produces: (_params, name) => [PREFIX_MATCH.from(name)],
  readsBody: ["request"],
  create(params, host) {
    const tokens = host.requestReader(TOKENIZED_PROMPT.from());
    const running = host.endpointReader(RUNNING_REQUESTS_SIZE);
    const writeMatch = host.requestWriter(PREFIX_MATCH.from(host.name));
    const hasher = new PrefixHasher();
    const { blockSizeTokens, maxBlocks, maxBatchSize, windowDurationMs } = params;
    const batchLimit = maxBatchSize === -1 ? Number.POSITIVE_INFINITY : maxBatchSize;
    let waiting: WaitingRequest[] = [];
    let last = { requests: 0, placed: 0 };

    const write = (request: InferenceRequest, endpoints: readonly Endpoint[], blocks: number, on?: Endpoint): void => {
      const matchedBlocks = zeroedInt32(slotTableLength(endpoints));
      if (on !== undefined) matchedBlocks[on.slot] = blocks;
      const match: PrefixMatch = { totalBlocks: blocks, blockSizeTokens, matchedBlocks, cachedBlocks: matchedBlocks };
      writeMatch.set(request, match);
    };

    const seal = (): void => {
      const sealed = waiting;
      waiting = [];
      try {
        const entries = sealed.filter(({ request }) => !request.aborted);
        const nowMs = host.clock.now();
        const placement = placeBurst(entries, params, (endpoint) => running.fresh(endpoint, nowMs));
        entries.forEach(({ request, endpoints, hashes }, i) => {
          write(request, endpoints, blockCount(hashes), placement[i]);
        });
        last = { requests: entries.length, placed: placement.filter((endpoint) => endpoint !== undefined).length };
      } finally {
        for (const { resolve } of sealed) resolve();
      }
    };

    return {
      produceTimeoutMs: windowDurationMs + placementAllowanceMs,

      produce(request, endpoints) {
        const prompts = tokens.get(request)?.prompts ?? [];
        const salt = request.body.cacheSalt ?? "";
        const hashes = hasher.hash(prompts, request.targetModel, salt, blockSizeTokens, maxBlocks);
        if (blockCount(hashes) === 0) {
          write(request, endpoints, 0);
          return undefined;
        }
        if (waiting.length >= batchLimit) {
          throw new Error(`the window holds ${batchLimit} requests (maxBatchSize): the request is not placed`);
        }
        if (waiting.length === 0) host.timers.after(windowDurationMs, seal);
        return new Promise<void>((resolve) => waiting.push({ request, endpoints, hashes, resolve }));
      },

      dumpState: () => ({ waitingRequests: waiting.length, lastWindow: last }),

      dispose() {
        for (const { resolve } of waiting) resolve();
        waiting = [];
      },
    };
  },
});
