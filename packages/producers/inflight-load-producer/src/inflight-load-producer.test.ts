import {
  type Endpoint,
  hasRole,
  IN_FLIGHT_LOAD,
  type InferenceRequest,
  PREFIX_MATCH,
  type ResponseBodyEvent,
  type SchedulingResult,
  TOKENIZED_PROMPT,
  UNCACHED_REQUEST_TOKENS,
} from "@pointsman/core";
import {
  type BuildPluginOptions,
  buildEndpoint,
  buildPlugin,
  buildRequest,
  pluginContract,
  type RequestOptions,
} from "@pointsman/testkit";
import { expect, test } from "vitest";
import { RecordedGauges } from "../test/recorded-gauges.ts";
import inflightLoadProducer from "./index.ts";

function requestOf(promptTokens: number, options: RequestOptions = {}): InferenceRequest {
  const tokenized = { prompts: [], totalTokens: promptTokens, estimated: true };
  return buildRequest({
    ...options,
    attributes: [[TOKENIZED_PROMPT.from(), tokenized], ...(options.attributes ?? [])],
  });
}

function chosen(primary: Endpoint, others: Readonly<Record<string, Endpoint>> = {}): SchedulingResult {
  const profile = (target: Endpoint) => ({ targets: [target], candidates: [target], totals: Float64Array.of(1) });
  const profiles = new Map(Object.entries(others).map(([name, target]) => [name, profile(target)]));
  return { primaryProfile: "decode", profiles: profiles.set("decode", profile(primary)) };
}

const pool = (count: number): Endpoint[] => Array.from({ length: count }, (_, slot) => buildEndpoint(slot));

/** A producer that knows of a pool of endpoints. */
function producerOver(endpoints: readonly Endpoint[], options: BuildPluginOptions = {}) {
  const { instance, clock } = buildPlugin(inflightLoadProducer, { endpoints: () => endpoints, ...options });
  if (
    !hasRole(instance, "dataProducer") ||
    !hasRole(instance, "preRequest") ||
    !hasRole(instance, "responseBodyProcessor") ||
    !hasRole(instance, "endpointListener")
  ) {
    throw new Error("a role is missing");
  }
  for (const endpoint of endpoints) instance.endpointChanged({ type: "addOrUpdate", endpoint });
  const key = IN_FLIGHT_LOAD.from(options.name);
  const step = (request: InferenceRequest, result: SchedulingResult, event: Partial<ResponseBodyEvent>): void =>
    instance.responseBody(request, result, {
      startOfStream: false,
      endOfStream: false,
      chunkBytes: 1,
      usage: undefined,
      streamedEvents: 0,
      terminationCause: undefined,
      setDynamicMetadata: () => {},
      ...event,
    });
  return {
    instance,
    clock,
    /** `[requests, tokens]` written on an endpoint, `undefined` when nothing is. */
    load: (endpoint: Endpoint): readonly [number, number] | undefined => {
      const load = endpoint.values[key.index] as { requests: number; tokens: number } | undefined;
      return load === undefined ? undefined : [load.requests, load.tokens];
    },
    decide: (request: InferenceRequest, result: SchedulingResult): void => {
      expect(instance.preRequest(request, result)).toBeUndefined();
    },
    firstChunk: (request: InferenceRequest, result: SchedulingResult): void =>
      step(request, result, { startOfStream: true }),
    chunk: (request: InferenceRequest, result: SchedulingResult): void => step(request, result, {}),
    end: (request: InferenceRequest, result: SchedulingResult, event: Partial<ResponseBodyEvent> = {}): void =>
      step(request, result, { endOfStream: true, terminationCause: "natural", ...event }),
  };
}

pluginContract(inflightLoadProducer, {
  testFile: import.meta.url,
  exercise: ({ instance }) => {
    for (const endpoint of pool(500)) {
      instance.endpointChanged?.({ type: "addOrUpdate", endpoint });
      instance.preRequest?.(requestOf(2 ** 52), chosen(endpoint));
    }
  },
});

test("an endpoint that appears has nothing in flight, and keeps its count when it changes", () => {
  const [endpoint] = pool(1);
  const producer = producerOver([endpoint!]);
  expect(producer.load(endpoint!)).toEqual([0, 0]);
  producer.decide(requestOf(100), chosen(endpoint!));
  producer.instance.endpointChanged({ type: "addOrUpdate", endpoint: endpoint! });
  expect(producer.load(endpoint!)).toEqual([1, 100]);
});

test("each candidate gets the prompt tokens it would have to compute, until the request is decided", () => {
  const endpoints = [buildEndpoint(4), buildEndpoint(1)];
  const producer = producerOver(endpoints);
  const matchedBlocks = Int32Array.of(0, 3);
  const match = { totalBlocks: 4, blockSizeTokens: 64, matchedBlocks, cachedBlocks: matchedBlocks };
  const request = requestOf(256, { attributes: [[PREFIX_MATCH.from(), match]] });
  void producer.instance.produce(request, endpoints);
  const uncached = UNCACHED_REQUEST_TOKENS.from();
  expect(request.attributes.get(uncached)).toEqual(Float64Array.of(Number.NaN, 64, Number.NaN, Number.NaN, 256));
  producer.decide(request, chosen(endpoints[1]!));
  expect(request.attributes.get(uncached)).toBeUndefined();
  expect(producer.load(endpoints[1]!)).toEqual([1, 64]);
});

test("the matches are those of the producer that is named", () => {
  const endpoints = pool(1);
  const matchedBlocks = Int32Array.of(4);
  const match = { totalBlocks: 4, blockSizeTokens: 64, matchedBlocks, cachedBlocks: matchedBlocks };
  const request = () => requestOf(256, { attributes: [[PREFIX_MATCH.from("far"), match]] });
  const far = producerOver(endpoints, { params: { prefixMatchInfoProducerName: "far" } });
  far.decide(request(), chosen(endpoints[0]!));
  expect(far.load(endpoints[0]!)).toEqual([1, 0]);
  const other = producerOver(endpoints);
  other.decide(request(), chosen(endpoints[0]!));
  expect(other.load(endpoints[0]!)).toEqual([1, 256]);
});

test("a request without tokens counts as a request", () => {
  const endpoints = pool(1);
  const producer = producerOver(endpoints);
  producer.decide(buildRequest(), chosen(endpoints[0]!));
  expect(producer.load(endpoints[0]!)).toEqual([1, 0]);
});

test("tokens are released with the first piece of the answer, the request with the last", () => {
  const endpoints = pool(1);
  const producer = producerOver(endpoints);
  const [request, result] = [requestOf(100), chosen(endpoints[0]!)];
  producer.decide(request, result);
  expect(producer.load(endpoints[0]!)).toEqual([1, 100]);
  producer.firstChunk(request, result);
  expect(producer.load(endpoints[0]!)).toEqual([1, 0]);
  producer.chunk(request, result);
  expect(producer.load(endpoints[0]!)).toEqual([1, 0]);
  producer.end(request, result);
  producer.end(request, result);
  expect(producer.load(endpoints[0]!)).toEqual([0, 0]);
});

test("an answer in one piece releases everything", () => {
  const endpoints = pool(1);
  const producer = producerOver(endpoints);
  const [request, result] = [requestOf(100), chosen(endpoints[0]!)];
  producer.decide(request, result);
  producer.end(request, result, { startOfStream: true });
  expect(producer.load(endpoints[0]!)).toEqual([0, 0]);
});

test.each(["client-disconnect", "evicted", "error"] as const)(
  "a request that ends without an answer (%s) releases everything",
  (terminationCause) => {
    const endpoints = pool(2);
    const producer = producerOver(endpoints);
    const [request, result] = [requestOf(100), chosen(endpoints[0]!, { prefill: endpoints[1]! })];
    producer.decide(request, result);
    producer.end(request, result, { startOfStream: true, chunkBytes: 0, terminationCause });
    expect(endpoints.map(producer.load)).toEqual([
      [0, 0],
      [0, 0],
    ]);
  },
);

test("with answers estimated, tokens stay until the end; prefill is released with the first piece", () => {
  const endpoints = pool(3);
  const producer = producerOver(endpoints, { params: { addEstimatedOutputTokens: true, outputRatio: 2 } });
  const request = requestOf(100, { body: { maxOutputTokens: 150 } });
  const result = chosen(endpoints[0]!, { prefill: endpoints[1]!, encode: endpoints[2]! });
  producer.decide(request, result);
  expect(endpoints.map(producer.load)).toEqual([
    [1, 250],
    [1, 250],
    [1, 250],
  ]);
  producer.firstChunk(request, result);
  expect(endpoints.map(producer.load)).toEqual([
    [1, 250],
    [0, 0],
    [1, 250],
  ]);
  producer.end(request, result);
  expect(endpoints.map(producer.load)).toEqual([
    [0, 0],
    [0, 0],
    [0, 0],
  ]);
});

test("without estimates, the first piece releases all tokens and the prefill request", () => {
  const endpoints = pool(3);
  const producer = producerOver(endpoints);
  const [request, result] = [requestOf(10), chosen(endpoints[0]!, { prefill: endpoints[1]!, encode: endpoints[2]! })];
  producer.decide(request, result);
  producer.firstChunk(request, result);
  expect(endpoints.map(producer.load)).toEqual([
    [1, 0],
    [0, 0],
    [1, 0],
  ]);
});

test("the prefill target is the one the profile handler names, whatever its profile is called", () => {
  const endpoints = pool(3);
  const producer = producerOver(endpoints);
  const profiles = chosen(endpoints[0]!, { prefill: endpoints[1]!, warm: endpoints[2]! });
  const [request, result] = [requestOf(10), { ...profiles, prefillProfile: "warm" }];
  producer.decide(request, result);
  producer.firstChunk(request, result);
  expect(endpoints.map((endpoint) => producer.load(endpoint)?.[0])).toEqual([1, 1, 0]);
});

test("one endpoint for prefill and decode counts twice until the answer begins", () => {
  const endpoints = pool(1);
  const producer = producerOver(endpoints);
  const [request, result] = [requestOf(10), chosen(endpoints[0]!, { prefill: endpoints[0]! })];
  producer.decide(request, result);
  expect(producer.load(endpoints[0]!)).toEqual([2, 20]);
  producer.firstChunk(request, result);
  expect(producer.load(endpoints[0]!)).toEqual([1, 0]);
});

test("requests with one id do not disturb each other", () => {
  const endpoints = pool(2);
  const producer = producerOver(endpoints);
  const [first, second] = [requestOf(10, { id: "same" }), requestOf(30, { id: "same" })];
  producer.decide(first, chosen(endpoints[0]!));
  producer.decide(second, chosen(endpoints[1]!));
  producer.end(first, chosen(endpoints[0]!));
  expect(endpoints.map(producer.load)).toEqual([
    [0, 0],
    [1, 30],
  ]);
});

test("only the first target of a profile counts", () => {
  const endpoints = pool(2);
  const producer = producerOver(endpoints);
  const profile = { targets: endpoints, candidates: endpoints, totals: new Float64Array(2) };
  producer.decide(requestOf(10), { primaryProfile: "p", profiles: new Map([["p", profile]]) });
  expect(endpoints.map(producer.load)).toEqual([
    [1, 10],
    [0, 0],
  ]);
});

test("an answer nobody decided on changes nothing", () => {
  const endpoints = pool(1);
  const producer = producerOver(endpoints);
  producer.end(requestOf(10), chosen(endpoints[0]!));
  expect(producer.load(endpoints[0]!)).toEqual([0, 0]);
});

test("a request that is decided again counts once", () => {
  const endpoints = pool(2);
  const producer = producerOver(endpoints);
  const request = requestOf(10);
  producer.decide(request, chosen(endpoints[0]!));
  producer.decide(request, chosen(endpoints[1]!));
  expect(endpoints.map(producer.load)).toEqual([
    [0, 0],
    [1, 10],
  ]);
});

test("an endpoint that comes back under its name starts at 0, and late releases do not touch it", () => {
  const endpoints = pool(1);
  const producer = producerOver(endpoints);
  const old = endpoints[0]!;
  const [request, result] = [requestOf(10), chosen(old)];
  producer.decide(request, result);
  endpoints[0] = buildEndpoint(0);
  producer.instance.endpointChanged({ type: "delete", endpoint: old });
  producer.instance.endpointChanged({ type: "addOrUpdate", endpoint: endpoints[0] });
  expect([producer.load(old), producer.load(endpoints[0])]).toEqual([undefined, [0, 0]]);
  producer.decide(requestOf(7), chosen(endpoints[0]));
  producer.firstChunk(request, result);
  producer.end(request, result);
  expect([producer.load(old), producer.load(endpoints[0])]).toEqual([undefined, [1, 7]]);
});

test("the late news that an endpoint went does not clear its successor", () => {
  const endpoints = pool(1);
  const producer = producerOver(endpoints);
  const old = endpoints[0]!;
  endpoints[0] = buildEndpoint(3, { name: "server-0" });
  producer.instance.endpointChanged({ type: "addOrUpdate", endpoint: endpoints[0] });
  producer.decide(requestOf(7), chosen(endpoints[0]));
  producer.instance.endpointChanged({ type: "delete", endpoint: old });
  expect([producer.load(old), producer.load(endpoints[0])]).toEqual([undefined, [1, 7]]);
});

test("a decision for an endpoint that has gone meanwhile leaves nothing behind", () => {
  const endpoints = pool(1);
  const gauges = new RecordedGauges();
  const producer = producerOver(endpoints, { metrics: gauges });
  const gone = endpoints.pop()!;
  producer.instance.endpointChanged({ type: "delete", endpoint: gone });
  const [request, result] = [requestOf(7), chosen(gone)];
  producer.decide(request, result);
  expect([producer.load(gone), gauges.count]).toEqual([undefined, 0]);
  producer.end(request, result);
  expect([producer.load(gone), gauges.count]).toEqual([undefined, 0]);
  expect(producer.instance.dumpState?.()).toMatchObject({ endpoints: [], totalEndpoints: 0 });
});

test("an endpoint of which no news came is counted all the same", () => {
  const endpoints: Endpoint[] = [];
  const producer = producerOver(endpoints);
  endpoints.push(buildEndpoint(0));
  producer.decide(requestOf(7), chosen(endpoints[0]!));
  expect(producer.load(endpoints[0]!)).toEqual([1, 7]);
});

test("an instance under another name writes under that name", () => {
  const endpoints = pool(1);
  const producer = producerOver(endpoints, { name: "far" });
  producer.decide(requestOf(7), chosen(endpoints[0]!));
  expect(producer.load(endpoints[0]!)).toEqual([1, 7]);
  expect(endpoints[0]!.values[IN_FLIGHT_LOAD.from().index]).toBeUndefined();
});

test("the dump names the hundred endpoints with most in flight", () => {
  const endpoints = pool(130);
  const producer = producerOver(endpoints);
  endpoints.forEach((endpoint, i) => {
    producer.decide(requestOf(i % 13), chosen(endpoint));
  });
  const state = producer.instance.dumpState?.() as { endpoints: { tokens: number }[] };
  expect(state).toMatchObject({ totalEndpoints: 130, maxEndpoints: 100 });
  expect(state.endpoints[0]).toEqual({ endpoint: "default/server-12", requests: 1, tokens: 12 });
  expect(state.endpoints.map(({ tokens }) => tokens)).toEqual(
    Array.from({ length: 100 }, (_, i) => 12 - Math.floor(i / 10)),
  );
});

test.each([
  { params: { outputRatio: -1 }, problem: "outputRatio" },
  { params: { maxEstimatedOutputTokens: -1 }, problem: "maxEstimatedOutputTokens" },
  { params: { maxEstimatedOutputTokens: 1.5 }, problem: "maxEstimatedOutputTokens" },
  { params: { syncCrossReplicaState: "no" }, problem: "syncCrossReplicaState" },
  { params: { nope: 1 }, problem: "nope" },
])("$params is refused", ({ params, problem }) => {
  expect(() => producerOver([], { params })).toThrow(problem);
});
