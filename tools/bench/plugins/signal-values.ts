import {
  ACTIVE_MODELS,
  AGENT_IDENTITY,
  type AttributeKey,
  CACHE_BLOCK_SIZE,
  CACHE_NUM_BLOCKS,
  ENCODER_MATCH,
  type Endpoint,
  EXPECTED_LATENCY,
  GPU_UTILIZATION,
  IN_FLIGHT_LOAD,
  KV_CACHE_USAGE,
  LATENCY_PREDICTION,
  MAX_ACTIVE_MODELS,
  MULTICLUSTER_KV_CACHE_UTILIZATION,
  MULTICLUSTER_QUEUE_SIZE,
  PEER_ENDPOINT,
  PREFIX_MATCH,
  RUNNING_REQUESTS_SIZE,
  SERVED_MODELS,
  SESSION_ID,
  TOKENIZED_PROMPT,
  TOPOLOGY,
  UNCACHED_REQUEST_TOKENS,
  WAITING_MODELS,
  WAITING_QUEUE_SIZE,
} from "@pointsman/core";

export const benchModel = "Qwen/Qwen3-8B";
const promptTokens = 300;
const blockSizeTokens = 16;
const promptBlocks = Math.floor(promptTokens / blockSizeTokens);

type Random = () => number;

const whole =
  (below: number) =>
  (random: Random): number =>
    Math.floor(random() * below);

/** A value for each attribute of endpoints that a plugin may read, by data type. */
const ofEndpoint: ReadonlyMap<string, (random: Random, slot: number) => unknown> = new Map<
  string,
  (random: Random, slot: number) => unknown
>([
  [WAITING_QUEUE_SIZE.dataType, whole(12)],
  [RUNNING_REQUESTS_SIZE.dataType, whole(64)],
  [KV_CACHE_USAGE.dataType, (random) => random()],
  [CACHE_BLOCK_SIZE.dataType, () => blockSizeTokens],
  [CACHE_NUM_BLOCKS.dataType, () => 8192],
  [MAX_ACTIVE_MODELS.dataType, () => 4],
  [ACTIVE_MODELS.dataType, (_random, slot) => new Set([`adapter-${slot % 3}`])],
  [WAITING_MODELS.dataType, () => new Set<string>()],
  [GPU_UTILIZATION.dataType, (random) => random() * 100],
  [MULTICLUSTER_QUEUE_SIZE.dataType, whole(12)],
  [MULTICLUSTER_KV_CACHE_UTILIZATION.dataType, (random) => random()],
  [IN_FLIGHT_LOAD.dataType, (random) => ({ tokens: whole(50_000)(random), requests: whole(40)(random) })],
  [
    TOPOLOGY.dataType,
    (_random, slot) => ({ hostname: `h${slot >> 1}`, rack: `r${slot >> 3}`, zone: `z${slot % 3}`, region: "here" }),
  ],
  [
    SERVED_MODELS.dataType,
    () => [{ id: benchModel, object: "model", createdAtSeconds: 1, ownedBy: "vllm", parent: undefined }],
  ],
  // The number that the least configurations of plugins on configured metrics name.
  ["Heat", (random) => random() * 100],
]);

const numbers = (count: number, value: () => number): Float64Array => Float64Array.from({ length: count }, value);

/** A value for each attribute of requests that a plugin may read, by data type. */
const ofRequest: ReadonlyMap<string, (random: Random, endpoints: readonly Endpoint[]) => unknown> = new Map<
  string,
  (random: Random, endpoints: readonly Endpoint[]) => unknown
>([
  [
    TOKENIZED_PROMPT.from().dataType,
    (random) => ({
      prompts: [
        {
          tokenIds: Uint32Array.from({ length: promptTokens }, () => whole(150_000)(random)),
          features: [
            { modality: "image", hash: `image-${whole(200)(random)}`, offsetTokens: 16, lengthTokens: 64 },
            { modality: "image", hash: `image-${whole(200)(random)}`, offsetTokens: 100, lengthTokens: 64 },
          ],
        },
      ],
      totalTokens: promptTokens,
      estimated: false,
    }),
  ],
  [
    PREFIX_MATCH.from().dataType,
    (random, { length }) => {
      // One in four endpoints holds some of the prompt.
      const blocks = (): number => (random() < 0.25 ? whole(promptBlocks + 1)(random) : 0);
      const matchedBlocks = Int32Array.from({ length }, blocks);
      return { totalBlocks: promptBlocks, blockSizeTokens, matchedBlocks, cachedBlocks: matchedBlocks };
    },
  ],
  [
    ENCODER_MATCH.from().dataType,
    (random, { length }) => ({ requestSize: 2, matchedSize: numbers(length, () => whole(3)(random)) }),
  ],
  [UNCACHED_REQUEST_TOKENS.from().dataType, (random, { length }) => numbers(length, () => whole(promptTokens)(random))],
  [
    EXPECTED_LATENCY.from().dataType,
    (random, { length }) => {
      const times = (): Float64Array => numbers(length, () => random() * 500);
      return {
        ...{
          ttftMs: times(),
          queueMs: times(),
          memoryMs: times(),
          prefillMs: times(),
          sparedMs: new Float64Array(length),
        },
        ...{ decodeMs: times(), harmMs: times(), evictMs: times(), usualEndToEndRatio: 20 },
      };
    },
  ],
  [
    LATENCY_PREDICTION.from().dataType,
    (random, { length }) => {
      const ttftHeadroomMs = numbers(length, () => random() * 400 - 100);
      const tpotHeadroomMs = numbers(length, () => random() * 40 - 10);
      return {
        ttftMs: numbers(length, () => 50 + random() * 400),
        tpotMs: numbers(length, () => 5 + random() * 40),
        ...{ ttftHeadroomMs, tpotHeadroomMs },
        ttftValid: Uint8Array.from(ttftHeadroomMs, (each) => (each >= 0 ? 1 : 0)),
        tpotValid: Uint8Array.from(tpotHeadroomMs, (each) => (each >= 0 ? 1 : 0)),
        dispatchedRequests: Int32Array.from({ length }, () => whole(10)(random)),
      };
    },
  ],
  [AGENT_IDENTITY.dataType, (random) => `agent-${whole(50)(random)}`],
  [SESSION_ID.from().dataType, (random) => `session-${whole(50)(random)}`],
  [PEER_ENDPOINT.dataType, (random, endpoints) => endpoints[whole(endpoints.length)(random)]],
]);

/** A value of an endpoint's attribute. Throws for one that nobody has given a value here. */
export function endpointValue(key: AttributeKey<unknown>, random: Random, slot: number): unknown {
  return lookUp(ofEndpoint, key)(random, slot);
}

/** A value of a request's attribute. Throws for one that nobody has given a value here. */
export function requestValue(key: AttributeKey<unknown>, random: Random, endpoints: readonly Endpoint[]): unknown {
  return lookUp(ofRequest, key)(random, endpoints);
}

function lookUp<F>(values: ReadonlyMap<string, F>, key: AttributeKey<unknown>): F {
  const value = values.get(key.dataType);
  if (value === undefined) throw new Error(`no value for attribute ${key.id}: add one to plugins/signal-values.ts`);
  return value;
}
