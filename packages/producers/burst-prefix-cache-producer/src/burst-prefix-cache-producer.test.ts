import {
  hasRole,
  type InferenceRequest,
  PREFIX_MATCH,
  RUNNING_REQUESTS_SIZE,
  TOKENIZED_PROMPT,
  type TokenizedPrompt,
} from "@pointsman/core";
import {
  type BuildPluginOptions,
  buildEndpoint,
  buildPlugin,
  buildRequest,
  endpointSignal,
  pluginContract,
  producerContract,
} from "@pointsman/testkit";
import fc from "fast-check";
import { expect, test } from "vitest";
import burstPrefixCacheProducer from "./index.ts";

const tokenized = (...tokenIds: readonly number[]): TokenizedPrompt => ({
  prompts: [{ tokenIds: Uint32Array.from(tokenIds), features: [] }],
  totalTokens: tokenIds.length,
  estimated: true,
});

function requestOf(tokenIds: readonly number[], model: string = "m"): InferenceRequest {
  return buildRequest({ targetModel: model, attributes: [[TOKENIZED_PROMPT.from(), tokenized(...tokenIds)]] });
}

const endpoints = [buildEndpoint(4), buildEndpoint(1), buildEndpoint(0)];

function producerWith(params: object = {}, options: BuildPluginOptions = {}) {
  const built = buildPlugin(burstPrefixCacheProducer, { ...options, params: { blockSizeTokens: 2, ...params } });
  if (!hasRole(built.instance, "dataProducer")) throw new Error("a role is missing");
  return { ...built, instance: built.instance };
}

const matchOf = (request: InferenceRequest) => request.attributes.get(PREFIX_MATCH.from("burst-prefix-cache-producer"));

pluginContract(burstPrefixCacheProducer, {
  testFile: import.meta.url,
  exercise: ({ instance, clock }) => {
    for (let i = 0; i < 500; i++) void instance.produce?.(requestOf([i % 9]), endpoints);
    clock.advance(100);
  },
});
producerContract(burstPrefixCacheProducer, {
  signals: [endpointSignal(RUNNING_REQUESTS_SIZE, fc.oneof(fc.nat(9), fc.double()))],
  request: () =>
    fc.array(fc.nat(3), { maxLength: 200 }).map((tokens) => ({
      attributes: [[TOKENIZED_PROMPT.from(), tokenized(...tokens)]],
    })),
});

test("requests of one window with one prompt get all blocks on one endpoint, none on the others", async () => {
  const { instance, clock } = producerWith();
  const [first, second, other] = [requestOf([1, 2, 3]), requestOf([1, 2, 3]), requestOf([9, 9])];
  const waits = [first, second, other].map((request) => instance.produce(request, endpoints));
  clock.advance(99);
  expect([first, second, other].map(matchOf)).toEqual([undefined, undefined, undefined]);
  clock.advance(1);
  await Promise.all(waits);
  const blocks = Int32Array.of(2, 0, 0, 0, 0);
  const expected = { totalBlocks: 2, blockSizeTokens: 2, matchedBlocks: blocks, cachedBlocks: blocks };
  expect([matchOf(first), matchOf(second)]).toEqual([expected, expected]);
  expect(matchOf(other)).toMatchObject({ totalBlocks: 1, matchedBlocks: new Int32Array(5) });
});

test("the window starts with the first request, and the next one opens another that remembers nothing", async () => {
  const { instance, clock } = producerWith({ windowDurationMs: 40 });
  const requests = [requestOf([1]), requestOf([1]), requestOf([1])];
  const first = instance.produce(requests[0]!, endpoints);
  clock.advance(39);
  const second = instance.produce(requests[1]!, endpoints);
  clock.advance(1);
  await Promise.all([first, second]);
  expect(requests.map((request) => matchOf(request)?.matchedBlocks[0])).toEqual([1, 1, undefined]);
  const third = instance.produce(requests[2]!, endpoints);
  clock.advance(39);
  expect(matchOf(requests[2]!)).toBeUndefined();
  clock.advance(1);
  await third;
  expect(matchOf(requests[2]!)?.matchedBlocks[0]).toBe(0);
});

test("the picker is asked to wait for the window and 300 ms", () => {
  expect(producerWith({ windowDurationMs: 250 }).instance.produceTimeoutMs).toBe(550);
});

test("a request without tokens matches 0 of 0 blocks and opens no window", () => {
  const { instance, clock } = producerWith();
  for (const request of [buildRequest(), requestOf([])]) {
    expect(instance.produce(request, endpoints)).toBeUndefined();
    expect(matchOf(request)).toMatchObject({ totalBlocks: 0, matchedBlocks: new Int32Array(5) });
  }
  expect(clock.pendingTimers).toBe(0);
});

test("what exceeds the window's size is refused and gets no match; the others are placed", async () => {
  const { instance, clock } = producerWith({ maxBatchSize: 2 });
  const requests = [requestOf([1]), requestOf([1]), requestOf([1])];
  const waits = requests.slice(0, 2).map((request) => instance.produce(request, endpoints));
  expect(() => instance.produce(requests[2]!, endpoints)).toThrow(/maxBatchSize/);
  clock.advance(100);
  await Promise.all(waits);
  expect(requests.map((request) => matchOf(request)?.matchedBlocks[0])).toEqual([1, 1, undefined]);
});

test("a request that was cancelled while it waited takes no place", async () => {
  const { instance, clock } = producerWith({ maxPerReplica: 1 });
  const requests = [requestOf([1]), requestOf([1]), requestOf([1])];
  const waits = requests.map((request) => instance.produce(request, endpoints));
  requests[0]!.abort();
  clock.advance(100);
  await Promise.all(waits);
  expect(requests.map((request) => matchOf(request)?.matchedBlocks)).toEqual([
    undefined,
    Int32Array.of(1, 0, 0, 0, 0),
    Int32Array.of(0, 1, 0, 0, 0),
  ]);
});

test("another model shares nothing", async () => {
  const { instance, clock } = producerWith();
  const requests = [requestOf([1], "m"), requestOf([1], "n")];
  const waits = requests.map((request) => instance.produce(request, endpoints));
  clock.advance(100);
  await Promise.all(waits);
  expect(requests.map((request) => matchOf(request)?.matchedBlocks.includes(1))).toEqual([false, false]);
});

test("stale running requests count as unknown", async () => {
  const stale = buildEndpoint(0, { attributes: [[RUNNING_REQUESTS_SIZE, 0, 990_000]] });
  const fresh = buildEndpoint(1, { attributes: [[RUNNING_REQUESTS_SIZE, 7, 999_999]] });
  const { instance, clock } = producerWith({}, { stalenessMs: 2000 });
  const requests = [requestOf([1]), requestOf([1])];
  const waits = requests.map((request) => instance.produce(request, [stale, fresh]));
  clock.advance(100);
  await Promise.all(waits);
  expect(matchOf(requests[0]!)?.matchedBlocks).toEqual(Int32Array.of(0, 1));
});

test("a plugin that is disposed of keeps nobody waiting", async () => {
  const { instance } = producerWith();
  const waiting = instance.produce(requestOf([1]), endpoints);
  await instance.dispose?.();
  await expect(waiting).resolves.toBeUndefined();
});

test.each([
  [{ windowDurationMs: 0 }, "windowDurationMs"],
  [{ windowDurationMs: 10_001 }, "windowDurationMs"],
  [{ maxPerReplica: 0 }, "maxPerReplica: must be -1 (no limit) or at least 1, not 0"],
  [{ maxBatchSize: -2 }, "maxBatchSize"],
  [{ blockSizeTokens: 0 }, "blockSizeTokens"],
  [
    { blockSizeTokens: 64, maxPrefixTokensToMatch: 63 },
    "maxPrefixTokensToMatch: must be 0 or at least blockSizeTokens",
  ],
  [{ minColocateBlocks: -1 }, "minColocateBlocks"],
  [{ balanceBy: "time" }, "balanceBy"],
])("parameters %j are refused", (params, message) => {
  expect(() => producerWith(params)).toThrow(message);
});

test("a limit in tokens cuts prompts to whole blocks", async () => {
  const { instance, clock } = producerWith({ blockSizeTokens: 2, maxPrefixTokensToMatch: 5 });
  const requests = [requestOf([1, 1, 2, 2, 3, 3]), requestOf([1, 1, 2, 2, 4])];
  const waits = requests.map((request) => instance.produce(request, endpoints));
  clock.advance(100);
  await Promise.all(waits);
  expect(requests.map((request) => matchOf(request))).toMatchObject([
    { totalBlocks: 2, matchedBlocks: Int32Array.of(2, 0, 0, 0, 0) },
    { totalBlocks: 2, matchedBlocks: Int32Array.of(2, 0, 0, 0, 0) },
  ]);
});
