import {
  CACHE_BLOCK_SIZE,
  CACHE_NUM_BLOCKS,
  type Endpoint,
  type EndpointEvent,
  hasRole,
  type InferenceRequest,
  type MetricsRegistry,
  PREFIX_MATCH,
  type PrefixMatch,
  type SchedulingResult,
  silentLogger,
  TOKENIZED_PROMPT,
  type TokenizedPrompt,
} from "@pointsman/core";
import { type BuildPluginOptions, buildEndpoint, buildPlugin, buildRequest, pluginContract } from "@pointsman/testkit";
import { expect, test } from "vitest";
import approxPrefixCacheProducer from "./index.ts";

/** Tokens of a prompt of whole 64-token blocks, each filled with one number. */
function blocks(...fill: readonly number[]): Uint32Array {
  return Uint32Array.from(fill.flatMap((token) => new Array<number>(64).fill(token)));
}

function tokenized(...prompts: readonly Uint32Array[]): TokenizedPrompt {
  return {
    prompts: prompts.map((tokenIds) => ({ tokenIds, features: [] })),
    totalTokens: prompts.reduce((sum, tokenIds) => sum + tokenIds.length, 0),
    estimated: true,
  };
}

function requestOf(prompts: readonly Uint32Array[], options: { model?: string; salt?: string } = {}): InferenceRequest {
  return buildRequest({
    targetModel: options.model ?? "m",
    body: { cacheSalt: options.salt },
    attributes: [[TOKENIZED_PROMPT.from(), tokenized(...prompts)]],
  });
}

function chosen(primary: Endpoint, others: Readonly<Record<string, Endpoint>> = {}): SchedulingResult {
  const profile = (target: Endpoint) => ({ targets: [target], candidates: [target], totals: Float64Array.of(1) });
  const profiles = new Map(Object.entries(others).map(([name, target]) => [name, profile(target)]));
  return { primaryProfile: "decode", profiles: profiles.set("decode", profile(primary)) };
}

/** A producer over a pool of endpoints that a test may change. */
function producerOver(pool: Endpoint[], options: BuildPluginOptions = {}) {
  const { instance, clock } = buildPlugin(approxPrefixCacheProducer, { ...options, endpoints: () => pool });
  if (
    !hasRole(instance, "dataProducer") ||
    !hasRole(instance, "preRequest") ||
    !hasRole(instance, "endpointListener")
  ) {
    throw new Error("a role is missing");
  }
  const name = options.name ?? approxPrefixCacheProducer.type;
  const matchOf = (request: InferenceRequest, candidates: readonly Endpoint[] = pool): PrefixMatch => {
    void instance.produce(request, candidates);
    return request.attributes.get(PREFIX_MATCH.from(name))!;
  };
  return {
    instance,
    clock,
    matchOf,
    /** Leading blocks of a prompt by slot. */
    matched: (...prompts: readonly Uint32Array[]): number[] => [...matchOf(requestOf(prompts)).matchedBlocks],
    /** Sends a prompt on its whole way. */
    route: (result: SchedulingResult, ...prompts: readonly Uint32Array[]): void => {
      const request = requestOf(prompts);
      matchOf(request);
      instance.preRequest(request, result);
    },
    event: (type: EndpointEvent["type"], endpoint: Endpoint): void => instance.endpointChanged({ type, endpoint }),
  };
}

const pool = (count: number): Endpoint[] => Array.from({ length: count }, (_, slot) => buildEndpoint(slot));

pluginContract(approxPrefixCacheProducer, {
  testFile: import.meta.url,
  exercise: ({ instance }) => {
    const endpoints = pool(300);
    for (let i = 0; i < 300; i++) void instance.produce?.(requestOf([blocks(i)]), endpoints);
  },
});

test("an endpoint that got a prompt matches the blocks a later prompt shares with it", () => {
  const endpoints = pool(3);
  const producer = producerOver(endpoints);
  producer.route(chosen(endpoints[1]!), blocks(1, 2, 3));
  const match = producer.matchOf(requestOf([blocks(1, 2, 9, 3)]));
  expect(match).toEqual({
    totalBlocks: 4,
    blockSizeTokens: 64,
    matchedBlocks: Int32Array.of(0, 2, 0),
    cachedBlocks: Int32Array.of(0, 2, 0),
  });
});

test("a block after a gap does not count", () => {
  const endpoints = pool(1);
  const producer = producerOver(endpoints);
  producer.route(chosen(endpoints[0]!), blocks(1, 2, 3));
  expect(producer.matched(blocks(1, 7, 3))).toEqual([1]);
  expect(producer.matched(blocks(7, 2, 3))).toEqual([0]);
});

test("a partial last block is a block of its own", () => {
  const endpoints = pool(1);
  const producer = producerOver(endpoints);
  const partial = blocks(1, 2).subarray(0, 100);
  producer.route(chosen(endpoints[0]!), partial);
  expect(producer.matched(partial)).toEqual([2]);
  expect(producer.matched(blocks(1, 2))).toEqual([1]);
});

test("the blocks of several prompts add up", () => {
  const endpoints = pool(2);
  const producer = producerOver(endpoints);
  producer.route(chosen(endpoints[0]!), blocks(1, 2), blocks(5));
  producer.route(chosen(endpoints[1]!), blocks(5, 6));
  const match = producer.matchOf(requestOf([blocks(1, 2, 3), blocks(5, 6)]));
  expect([match.totalBlocks, [...match.matchedBlocks]]).toEqual([5, [3, 2]]);
});

test("another model or another salt shares nothing", () => {
  const endpoints = pool(1);
  const producer = producerOver(endpoints);
  producer.route(chosen(endpoints[0]!), blocks(1));
  const matched = (options: { model?: string; salt?: string }) => [
    ...producer.matchOf(requestOf([blocks(1)], options)).matchedBlocks,
  ];
  expect([matched({}), matched({ model: "n" }), matched({ salt: "s" })]).toEqual([[1], [0], [0]]);
});

test("every candidate matches 0 of 0 blocks when there are no tokens, and nothing is recorded", () => {
  const endpoints = pool(2);
  const producer = producerOver(endpoints);
  const request = buildRequest();
  expect(producer.matchOf(request)).toMatchObject({ totalBlocks: 0, matchedBlocks: Int32Array.of(0, 0) });
  producer.instance.preRequest(request, chosen(endpoints[0]!));
  producer.route(chosen(endpoints[0]!), new Uint32Array(0));
  expect(producer.instance.dumpState?.()).toMatchObject({ pods: [{ pod: "default/server-0", blocks: 0 }] });
});

test("without a decision nothing is recorded, and one decision is recorded once", () => {
  const endpoints = pool(1);
  const producer = producerOver(endpoints);
  producer.matchOf(requestOf([blocks(1)]));
  expect(producer.matched(blocks(1))).toEqual([0]);
  const request = requestOf([blocks(1)]);
  producer.matchOf(request);
  producer.instance.preRequest(request, chosen(endpoints[0]!));
  producer.event("delete", endpoints[0]!);
  producer.instance.preRequest(request, chosen(endpoints[0]!));
  expect(producer.matched(blocks(1))).toEqual([0]);
});

test("requests with one id do not disturb each other", () => {
  const endpoints = pool(2);
  const producer = producerOver(endpoints);
  const first = requestOf([blocks(1)]);
  const second = requestOf([blocks(2)]);
  producer.matchOf(first);
  producer.matchOf(second);
  producer.instance.preRequest(first, chosen(endpoints[0]!));
  producer.instance.preRequest(second, chosen(endpoints[1]!));
  expect([producer.matched(blocks(1)), producer.matched(blocks(2))]).toEqual([
    [1, 0],
    [0, 1],
  ]);
});

test("the first target of the profile named prefill is recorded too, other profiles are not", () => {
  const endpoints = pool(3);
  const producer = producerOver(endpoints);
  producer.route(chosen(endpoints[0]!, { prefill: endpoints[1]!, encode: endpoints[2]! }), blocks(1));
  expect(producer.matched(blocks(1))).toEqual([1, 1, 0]);
});

test("the prefill target is the one the profile handler names, whatever its profile is called", () => {
  const endpoints = pool(3);
  const producer = producerOver(endpoints);
  const request = requestOf([blocks(1)]);
  producer.matchOf(request);
  const result = chosen(endpoints[0]!, { prefill: endpoints[1]!, warm: endpoints[2]! });
  producer.instance.preRequest(request, { ...result, prefillProfile: "warm" });
  expect(producer.matched(blocks(1))).toEqual([1, 0, 1]);
});

test("the block size is that of the first candidate that reports one, and at least 64 tokens", () => {
  const sized = (slot: number, tokens: number) => buildEndpoint(slot, { attributes: [[CACHE_BLOCK_SIZE, tokens]] });
  const sizeFor = (candidates: readonly Endpoint[], params: object = {}): number =>
    producerOver([], { params }).matchOf(requestOf([]), candidates).blockSizeTokens;
  expect(sizeFor([buildEndpoint(0), sized(1, 128), sized(2, 256)])).toBe(128);
  expect(sizeFor([sized(0, 16)])).toBe(64);
  expect(sizeFor([sized(0, Number.NaN), sized(1, 0), sized(2, -5), sized(3, 96)])).toBe(96);
  expect(sizeFor([sized(0, 1e9)])).toBe(65_536);
  expect(sizeFor([buildEndpoint(0)])).toBe(64);
  expect(sizeFor([buildEndpoint(0)], { blockSizeTokens: 100 })).toBe(100);
  expect(sizeFor([sized(0, 128)], { autoTune: false, blockSizeTokens: 100 })).toBe(100);
});

test("an endpoint keeps as many blocks as its engine's cache holds, counted in blocks of the index", () => {
  // 12 engine blocks of 16 tokens are 3 blocks of 64.
  const reported = buildEndpoint(0, {
    attributes: [
      [CACHE_NUM_BLOCKS, 12],
      [CACHE_BLOCK_SIZE, 16],
    ],
  });
  const producer = producerOver([reported]);
  producer.route(chosen(reported), blocks(1, 2, 3, 4, 5));
  expect(producer.matched(blocks(1, 2, 3, 4, 5))).toEqual([3]);
});

test("the number of blocks follows the engine when it changes", () => {
  const cache = (engineBlocks: number) =>
    ({
      attributes: [
        [CACHE_NUM_BLOCKS, engineBlocks],
        [CACHE_BLOCK_SIZE, 64],
      ],
    }) as const;
  const endpoint = buildEndpoint(0, cache(5));
  const producer = producerOver([endpoint]);
  producer.route(chosen(endpoint), blocks(1, 2, 3, 4, 5));
  expect(producer.matched(blocks(1, 2, 3, 4, 5))).toEqual([5]);
  endpoint.values.splice(0, endpoint.values.length, ...buildEndpoint(0, cache(2)).values);
  producer.route(chosen(endpoint), blocks(9));
  expect([producer.matched(blocks(9)), producer.matched(blocks(1, 2, 3))]).toEqual([[1], [1]]);
  endpoint.values.splice(0, endpoint.values.length, ...buildEndpoint(0, cache(4)).values);
  producer.route(chosen(endpoint), blocks(1, 2, 3));
  expect([producer.matched(blocks(9)), producer.matched(blocks(1, 2, 3))]).toEqual([[1], [3]]);
});

test("with autoTune off, or half of the figures missing, the configured number of blocks holds", () => {
  const full = buildEndpoint(0, {
    attributes: [
      [CACHE_NUM_BLOCKS, 100],
      [CACHE_BLOCK_SIZE, 64],
    ],
  });
  const half = buildEndpoint(0, { attributes: [[CACHE_NUM_BLOCKS, 1]] });
  const kept = (endpoint: Endpoint, params: object): number[] => {
    const producer = producerOver([endpoint], { params });
    producer.route(chosen(endpoint), blocks(1, 2, 3));
    return producer.matched(blocks(1, 2, 3));
  };
  expect(kept(full, { autoTune: false, lruCapacityPerServer: 2 })).toEqual([2]);
  expect(kept(half, { lruCapacityPerServer: 2 })).toEqual([2]);
  expect(kept(half, { lruCapacityPerServer: 0 })).toEqual([3]);
});

test.each([
  { name: "tokens", params: { maxPrefixTokensToMatch: 150 }, blocksHashed: 2 },
  { name: "tokens, below one block", params: { maxPrefixTokensToMatch: 63 }, blocksHashed: 0 },
  {
    name: "blocks, with no limit in tokens",
    params: { maxPrefixTokensToMatch: 0, maxPrefixBlocksToMatch: 3 },
    blocksHashed: 3,
  },
  { name: "no limit", params: { maxPrefixTokensToMatch: 0, maxPrefixBlocksToMatch: 0 }, blocksHashed: 5 },
  { name: "a limit below 0", params: { maxPrefixTokensToMatch: 0, maxPrefixBlocksToMatch: -1 }, blocksHashed: 0 },
  { name: "tokens before blocks", params: { maxPrefixTokensToMatch: 256, maxPrefixBlocksToMatch: 1 }, blocksHashed: 4 },
])("a prompt is looked at up to the limit: $name", ({ params, blocksHashed }) => {
  const match = producerOver(pool(1), { params }).matchOf(requestOf([blocks(1, 2, 3, 4, 5)]));
  expect(match.totalBlocks).toBe(blocksHashed);
});

test("a deleted endpoint matches no more, nor does the next one in its slot", () => {
  const endpoints = pool(2);
  const producer = producerOver(endpoints);
  producer.route(chosen(endpoints[0]!), blocks(1));
  producer.route(chosen(endpoints[1]!), blocks(1));
  producer.event("delete", endpoints[0]!);
  endpoints[0] = buildEndpoint(0, { name: "successor" });
  producer.event("addOrUpdate", endpoints[0]);
  expect(producer.matched(blocks(1))).toEqual([0, 1]);
  producer.clock.advance(60);
  producer.route(chosen(endpoints[0]), blocks(2));
  expect(producer.matched(blocks(2))).toEqual([1, 0]);
});

test("an endpoint that comes back under its name, or takes a slot unannounced, starts empty", () => {
  const endpoints = pool(1);
  const producer = producerOver(endpoints);
  producer.route(chosen(endpoints[0]!), blocks(1));
  producer.event("addOrUpdate", endpoints[0]!);
  expect(producer.matched(blocks(1))).toEqual([1]);
  endpoints[0] = buildEndpoint(1, { name: "server-0" });
  producer.event("addOrUpdate", endpoints[0]);
  expect(producer.matched(blocks(1))).toEqual([0, 0]);

  producer.route(chosen(endpoints[0]), blocks(1));
  endpoints[0] = buildEndpoint(1, { name: "another" });
  producer.route(chosen(endpoints[0]), blocks(2));
  expect([producer.matched(blocks(1)), producer.matched(blocks(2))]).toEqual([
    [0, 0],
    [0, 1],
  ]);
});

test("a decision for an endpoint that has gone meanwhile leaves nothing behind", () => {
  const endpoints = pool(2);
  const producer = producerOver(endpoints);
  const request = requestOf([blocks(1)]);
  producer.matchOf(request);
  const [gone] = endpoints.splice(0, 1);
  producer.event("delete", gone!);
  producer.instance.preRequest(request, chosen(gone!));
  expect(producer.instance.dumpState?.()).toMatchObject({ pods: [], totalPods: 0 });
});

test("endpoints that vanished unannounced are dropped within two minutes", () => {
  const endpoints = pool(2);
  const producer = producerOver(endpoints);
  producer.route(chosen(endpoints[0]!), blocks(1));
  producer.route(chosen(endpoints[1]!), blocks(1));
  endpoints.splice(0, 1);
  producer.clock.advance(119_000);
  expect(producer.instance.dumpState?.()).toMatchObject({ totalPods: 2 });
  producer.clock.advance(1000);
  expect(producer.instance.dumpState?.()).toEqual({
    pods: [{ pod: "default/server-1", blocks: 1 }],
    totalPods: 1,
    maxPods: 100,
    memoryBytes: expect.any(Number),
  });
});

test("the dump names the hundred endpoints with most blocks", () => {
  const endpoints = pool(130);
  const producer = producerOver(endpoints);
  endpoints.forEach((endpoint, i) => {
    producer.route(chosen(endpoint), blocks(...Array.from({ length: 1 + (i % 13) }, (_, n) => n)));
  });
  const state = producer.instance.dumpState?.() as { pods: { blocks: number }[]; totalPods: number };
  expect([state.pods.length, state.totalPods]).toEqual([100, 130]);
  expect(state.pods.map((pod) => pod.blocks)).toEqual(state.pods.map((pod) => pod.blocks).toSorted((a, b) => b - a));
  expect(state.pods[99]!.blocks).toBe(4);
});

test("an instance under another name produces under that name", () => {
  const endpoints = pool(1);
  const producer = producerOver(endpoints, { name: "far" });
  producer.route(chosen(endpoints[0]!), blocks(1));
  const request = requestOf([blocks(1)]);
  expect([...producer.matchOf(request).matchedBlocks]).toEqual([1]);
  expect(request.attributes.get(PREFIX_MATCH.from())).toBeUndefined();
});

test("metrics tell the size each second, and what the chosen endpoint held of each request", () => {
  const seen: Record<string, number[]> = {};
  const family = (name: string, labelNames: readonly string[] | undefined) => ({
    labels: (...values: readonly string[]) => {
      const series = (labelNames ?? []).map((label, i) => `${label}=${values[i]}`).join(",");
      const note = (value: number): void => {
        seen[`${name}{${series}}`] = [...(seen[`${name}{${series}}`] ?? []), value];
      };
      return { set: note, inc: note, dec: note, observe: note };
    },
    remove: () => {},
  });
  const metrics: MetricsRegistry = {
    counter: ({ name, labelNames }) => family(name, labelNames),
    gauge: ({ name, labelNames }) => family(name, labelNames),
    histogram: ({ name, labelNames }) => family(name, labelNames),
  };
  const endpoints = pool(2);
  const producer = producerOver(endpoints, { metrics, name: "near" });
  producer.route(chosen(endpoints[0]!), blocks(1, 2));
  producer.clock.advance(1000);
  producer.route(chosen(endpoints[0]!), blocks(1, 2, 3, 4));
  producer.route(chosen(endpoints[1]!), new Uint32Array(0));
  producer.clock.advance(1000);
  const labels = "{plugin_name=near,plugin_type=approx-prefix-cache-producer}";
  expect(seen).toEqual({
    [`llm_d_epp_prefix_indexer_size${labels}`]: [2, 4],
    [`llm_d_epp_prefix_indexer_hit_ratio${labels}`]: [0, 0.5],
    [`llm_d_epp_prefix_indexer_hit_bytes${labels}`]: [0, 512, 0],
  });
});

test("the deprecated blockSize stands in for a blockSizeTokens of 16 and warns", () => {
  const warnings: string[] = [];
  const logger = { ...silentLogger, warn: (_fields: unknown, message: string) => warnings.push(message) };
  const sizeFor = (params: object): number =>
    producerOver([], { params, logger }).matchOf(requestOf([]), []).blockSizeTokens;
  expect(sizeFor({ blockSize: 128 })).toBe(128);
  expect(sizeFor({ blockSize: 128, blockSizeTokens: 96 })).toBe(96);
  expect(sizeFor({ blockSize: 0 })).toBe(64);
  expect(warnings).toEqual(new Array(3).fill("parameter blockSize is deprecated: use blockSizeTokens"));
});

test.each([
  {
    params: { autoTune: false, blockSizeTokens: 0 },
    problem: "blockSizeTokens: must be above 0 tokens when autoTune is off, not 0",
  },
  { params: { maxPrefixTokensToMatch: -1 }, problem: "maxPrefixTokensToMatch" },
  { params: { lruCapacityPerServer: 1e9 }, problem: "lruCapacityPerServer" },
  { params: { blockSizeTokens: 1.5 }, problem: "blockSizeTokens" },
  { params: { cacheSizeInMB: 1 }, problem: "cacheSizeInMB" },
])("$params is refused", ({ params, problem }) => {
  expect(() => producerOver([], { params })).toThrow(problem);
});

test("a block size of 0 is accepted while autoTune is on", () => {
  expect(producerOver([], { params: { blockSizeTokens: 0 } }).matchOf(requestOf([]), []).blockSizeTokens).toBe(64);
});
