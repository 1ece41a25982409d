import {
  type Endpoint,
  Exchange,
  Headers,
  hasRole,
  type InferenceRequest,
  PREFIX_MATCH,
  type PrefixMatch,
  type RoutedRequest,
  type SchedulingResult,
  WAITING_QUEUE_SIZE,
} from "@pointsman/core";
import {
  type BuildPluginOptions,
  buildEndpoint,
  buildPlugin,
  buildRequest,
  buildRouter,
  endpointSignal,
  named,
  pluginContract,
  producerContract,
} from "@pointsman/testkit";
import fc from "fast-check";
import { expect, test } from "vitest";
import p2pSourceProducer from "./index.ts";

const header = "x-kv-cache-source-host-port";
const pool = (count: number): Endpoint[] => Array.from({ length: count }, (_, slot) => buildEndpoint(slot));

const matchOf = (...cached: readonly number[]): PrefixMatch => ({
  totalBlocks: 100,
  blockSizeTokens: 16,
  matchedBlocks: Int32Array.from(cached),
  cachedBlocks: Int32Array.from(cached),
});

function requestWith(match: PrefixMatch | undefined, producer?: string): InferenceRequest {
  return buildRequest({ id: "req-1", attributes: match === undefined ? [] : [[PREFIX_MATCH.from(producer), match]] });
}

function chosen(primary: Endpoint, others: Readonly<Record<string, Endpoint>> = {}): SchedulingResult {
  const profile = (target: Endpoint) => ({ targets: [target], candidates: [target], totals: Float64Array.of(1) });
  const profiles = new Map(Object.entries(others).map(([name, target]) => [name, profile(target)]));
  return { primaryProfile: "decode", profiles: profiles.set("decode", profile(primary)) };
}

function producerWith(options: BuildPluginOptions = {}) {
  const { instance } = buildPlugin(p2pSourceProducer, options);
  if (!hasRole(instance, "dataProducer") || !hasRole(instance, "preRequest")) throw new Error("a role is missing");
  return instance;
}

/** The header after a request's whole way. */
function sourceOf(
  match: PrefixMatch | undefined,
  endpoints: readonly Endpoint[],
  result: SchedulingResult,
  options: BuildPluginOptions = {},
): string | undefined {
  const instance = producerWith(options);
  const request = requestWith(match);
  expect(instance.produce(request, endpoints)).toBeUndefined();
  expect(instance.preRequest(request, result)).toBeUndefined();
  return request.upstreamHeaders.get(header);
}

pluginContract(p2pSourceProducer, { testFile: import.meta.url });
producerContract(p2pSourceProducer, {
  signals: [endpointSignal(WAITING_QUEUE_SIZE, fc.oneof(fc.nat(9), fc.double()))],
  request: () =>
    fc.option(fc.array(fc.integer({ min: -1, max: 5 }), { maxLength: 41 }), { nil: undefined }).map((cached) => ({
      attributes: cached === undefined ? [] : [[PREFIX_MATCH.from(), matchOf(...cached)]],
    })),
});

test("the header names the endpoint that holds more of the prompt than the chosen one", () => {
  const endpoints = pool(3);
  expect(sourceOf(matchOf(2, 9, 0), endpoints, chosen(endpoints[0]!))).toBe("127.0.0.1:8001");
});

test("an endpoint that is its own source, one that holds as much, and one where nobody holds anything get none", () => {
  const endpoints = pool(2);
  expect(sourceOf(matchOf(2, 9), endpoints, chosen(endpoints[1]!))).toBeUndefined();
  expect(sourceOf(matchOf(9, 9), endpoints, chosen(endpoints[0]!))).toBeUndefined();
  expect(sourceOf(matchOf(0, 0), endpoints, chosen(endpoints[0]!))).toBeUndefined();
  expect(sourceOf(undefined, endpoints, chosen(endpoints[0]!))).toBeUndefined();
});

test("the source must hold at least as many tokens more as asked for", () => {
  const endpoints = pool(2);
  const source = (minCachedTokenDelta: number) =>
    sourceOf(matchOf(2, 9), endpoints, chosen(endpoints[0]!), { params: { minCachedTokenDelta } });
  expect([source(112), source(113)]).toEqual(["127.0.0.1:8001", undefined]);
});

test("what the chosen endpoint holds in any tier counts against the source's tier cpu", () => {
  const endpoints = pool(2);
  const tiers = new Map([["cpu", Int32Array.of(0, 6)]]);
  const source = (own: number) =>
    sourceOf({ ...matchOf(own, 6), cachedBlocksByTier: tiers }, endpoints, chosen(endpoints[0]!));
  expect([source(5), source(6)]).toEqual(["127.0.0.1:8001", undefined]);
});

test("the endpoint that computes the prompt is the prefill target", () => {
  const endpoints = pool(3);
  const result = chosen(endpoints[0]!, { prefill: endpoints[1]!, warm: endpoints[2]! });
  const match = matchOf(9, 2, 0);
  expect(sourceOf(match, endpoints, result)).toBe("127.0.0.1:8000");
  expect(sourceOf(matchOf(0, 9, 0), endpoints, result)).toBeUndefined();
  expect(sourceOf(matchOf(0, 9, 0), endpoints, { ...result, prefillProfile: "warm" })).toBe("127.0.0.1:8001");
  expect(sourceOf(matchOf(0, 9, 0), endpoints, result, { params: { prefillProfileName: "" } })).toBeUndefined();
  expect(sourceOf(matchOf(0, 0, 9), endpoints, result, { params: { prefillProfileName: "warm" } })).toBeUndefined();
  expect(sourceOf(matchOf(0, 9, 0), endpoints, result, { params: { prefillProfileName: "none" } })).toBe(
    "127.0.0.1:8001",
  );
});

test("the matches are those of the producer that is named", () => {
  const endpoints = pool(2);
  const instance = producerWith({ params: { prefixMatchInfoProducerName: "precise" } });
  const request = requestWith(matchOf(0, 9), "precise");
  void instance.produce(request, endpoints);
  instance.preRequest(request, chosen(endpoints[0]!));
  expect(request.upstreamHeaders.get(header)).toBe("127.0.0.1:8001");
});

test("a decision without a source clears what was there", () => {
  const endpoints = pool(1);
  const instance = producerWith();
  const request = requestWith(undefined);
  request.upstreamHeaders.set(header, "10.0.0.1:1");
  instance.preRequest(request, chosen(endpoints[0]!));
  expect(request.upstreamHeaders.has(header)).toBe(false);
});

test("a stale queue counts as unknown", () => {
  // Fresh, the second queue would be empty and its endpoint chosen at 0.856.
  const endpoints = [
    buildEndpoint(0, { attributes: [[WAITING_QUEUE_SIZE, 0, 9000]] }),
    buildEndpoint(1, { attributes: [[WAITING_QUEUE_SIZE, 0, 1000]] }),
    buildEndpoint(2, { attributes: [[WAITING_QUEUE_SIZE, 20, 9000]] }),
  ];
  const instance = producerWith();
  const request = requestWith(matchOf(9, 9, 9, 0));
  request.nowMs = 10_000;
  void instance.produce(request, endpoints);
  instance.preRequest(request, chosen(buildEndpoint(3)));
  expect(request.upstreamHeaders.get(header)).toBe("127.0.0.1:8000");
});

test("a client's own header never reaches the model server, with a source or without", () => {
  const endpoints = pool(2);
  for (const match of [matchOf(0, 9), undefined]) {
    const producer = producerWith();
    const matches = {
      produce: (request: InferenceRequest) => {
        request.attributes.set(PREFIX_MATCH.from(), match);
      },
    };
    const { router } = buildRouter({ endpoints, plugins: [named(matches, "matches"), named(producer, "p2p")] });
    let routed: RoutedRequest | undefined;
    const exchange = new Exchange(router, {
      routed: (request) => {
        routed = request;
      },
      reply: () => {},
      requestTrailers: () => {},
      responseHeaders: () => {},
      responseBody: () => {},
      responseTrailers: () => {},
    });
    exchange.requestHeaders(
      Headers.from([
        [":path", "/v1/completions"],
        [header, "evil:1"],
      ]),
      false,
      {},
    );
    exchange.requestBody(Buffer.from('{"model":"m"}'), true, {});
    const set = new Map(routed!.headers.set);
    expect(set.get(header)).toBe(match === undefined ? undefined : "127.0.0.1:8001");
    // Either replaced or removed.
    expect(set.has(header) || routed!.headers.remove.includes(header)).toBe(true);
  }
});

test.each([{ minCachedTokenDelta: 0 }, { prefillProfileName: 1 }, { other: 1 }])(
  "parameters %j are refused",
  (params) => {
    expect(() => producerWith({ params })).toThrow();
  },
);
