import {
  CACHE_BLOCK_SIZE,
  CACHE_NUM_BLOCKS,
  type Endpoint,
  EXPECTED_LATENCY,
  Headers,
  hasRole,
  type InferenceRequest,
  KV_CACHE_USAGE,
  PREFIX_MATCH,
  type ResponseBodyEvent,
  RUNNING_REQUESTS_SIZE,
  type SchedulingResult,
  TOKENIZED_PROMPT,
  type Usage,
  WAITING_QUEUE_SIZE,
  writeAttribute,
} from "@pointsman/core";
import {
  type BuildPluginOptions,
  buildEndpoint,
  buildPlugin,
  buildRequest,
  endpointSignal,
  FakeClock,
  pluginContract,
  producerContract,
  type RequestOptions,
} from "@pointsman/testkit";
import fc from "fast-check";
import { expect, test } from "vitest";
import { RecordedSeries } from "../test/recorded-series.ts";
import expectedLatencyProducer from "./index.ts";

const parts = ["ttftMs", "queueMs", "memoryMs", "prefillMs", "sparedMs", "decodeMs", "harmMs", "evictMs"] as const;
const blockTokens = 64;

function requestOf(promptTokens: number, matchedBlocks?: Int32Array, options: RequestOptions = {}): InferenceRequest {
  const tokenIds = Uint32Array.from({ length: Math.min(promptTokens, 2000) }, (_, i) => i);
  const match = matchedBlocks && {
    ...{ totalBlocks: promptTokens / blockTokens, blockSizeTokens: blockTokens },
    ...{ matchedBlocks, cachedBlocks: matchedBlocks },
  };
  return buildRequest({
    targetModel: "m",
    ...options,
    body: { stream: true, ...options.body },
    attributes: [
      [TOKENIZED_PROMPT.from(), { prompts: [{ tokenIds, features: [] }], totalTokens: promptTokens, estimated: true }],
      ...(match === undefined ? [] : [[PREFIX_MATCH.from(), match] as const]),
    ],
  });
}

function chosen(endpoint: Endpoint): SchedulingResult {
  const profile = { targets: [endpoint], candidates: [endpoint], totals: Float64Array.of(1) };
  return { primaryProfile: "default", profiles: new Map([["default", profile]]) };
}

const pool = (count: number): Endpoint[] => Array.from({ length: count }, (_, slot) => buildEndpoint(slot));

interface DumpedState {
  readonly model: Readonly<Record<string, number>>;
  readonly endpoints: readonly { readonly endpoint: string; readonly present: number; readonly slowness: number }[];
  readonly totalEndpoints: number;
  readonly maxEndpoints: number;
}

/** A producer over a pool, and the ways of a request through it. */
function producerOver(known: readonly Endpoint[], options: BuildPluginOptions = {}) {
  let endpoints = known;
  const { instance, clock } = buildPlugin(expectedLatencyProducer, { endpoints: () => endpoints, ...options });
  if (
    !hasRole(instance, "dataProducer") ||
    !hasRole(instance, "preRequest") ||
    !hasRole(instance, "responseHeaderProcessor") ||
    !hasRole(instance, "responseBodyProcessor") ||
    !hasRole(instance, "endpointListener")
  ) {
    throw new Error("a role is missing");
  }
  const key = EXPECTED_LATENCY.from(options.name);
  const step = (request: InferenceRequest, endpoint: Endpoint, event: Partial<ResponseBodyEvent>): void =>
    instance.responseBody(request, chosen(endpoint), {
      startOfStream: false,
      endOfStream: false,
      chunkBytes: 1,
      usage: undefined,
      streamedEvents: 1,
      terminationCause: undefined,
      setDynamicMetadata: () => {},
      ...event,
    });
  const producer = {
    clock,
    expect: (request: InferenceRequest, candidates: readonly Endpoint[] = endpoints) => {
      void instance.produce(request, candidates);
      return request.attributes.get(key)!;
    },
    send: (request: InferenceRequest, endpoint: Endpoint): void => {
      expect(instance.preRequest(request, chosen(endpoint))).toBeUndefined();
    },
    headers: (request: InferenceRequest, endpoint: Endpoint, status: number): void =>
      instance.responseHeaders(request, chosen(endpoint), {
        headers: new Headers(),
        status,
        servedBy: undefined,
        proxyMetadata: {},
        setHeaders: new Map(),
      }),
    firstToken: (request: InferenceRequest, endpoint: Endpoint): void =>
      step(request, endpoint, { startOfStream: true }),
    step,
    end: (request: InferenceRequest, endpoint: Endpoint, event: Partial<ResponseBodyEvent> = {}): void =>
      step(request, endpoint, { endOfStream: true, terminationCause: "natural", streamedEvents: 100, ...event }),
    change: (type: "addOrUpdate" | "delete", endpoint: Endpoint): void => {
      endpoints = endpoints.filter((each) => each !== endpoint);
      if (type === "addOrUpdate") endpoints = [...endpoints, endpoint];
      instance.endpointChanged({ type, endpoint });
    },
    // Plain data by contract.
    state: () => instance.dumpState!() as unknown as DumpedState,
    presentAt: (endpoint: Endpoint): number | undefined =>
      producer.state().endpoints.find((each) => each.endpoint === endpoint.id)?.present,
  };
  return producer;
}

const usageOf = (fields: Partial<Usage>): Usage => ({
  ...{ promptTokens: undefined, completionTokens: undefined, totalTokens: undefined, cachedTokens: undefined },
  ...fields,
});

// Whatever an engine reports may end up in an attribute.
const anyNumber = fc.oneof({ weight: 4, arbitrary: fc.nat(50_000) }, { weight: 1, arbitrary: fc.double() });
const situations = {
  signals: [
    endpointSignal(WAITING_QUEUE_SIZE, anyNumber),
    endpointSignal(RUNNING_REQUESTS_SIZE, anyNumber),
    endpointSignal(KV_CACHE_USAGE, fc.oneof(fc.double({ min: 0, max: 1, noNaN: true }), anyNumber)),
    endpointSignal(CACHE_NUM_BLOCKS, anyNumber),
    endpointSignal(CACHE_BLOCK_SIZE, anyNumber),
  ],
  request: (): fc.Arbitrary<RequestOptions> =>
    fc
      .record({
        totalTokens: fc.oneof(fc.nat(100_000), fc.constantFrom(2 ** 53, Number.NaN)),
        tokenIds: fc.uint32Array({ maxLength: 20 }),
        matched: fc.int32Array({ minLength: 41, maxLength: 41 }),
        maxOutputTokens: fc.option(fc.nat(10_000), { nil: undefined }),
        stream: fc.boolean(),
      })
      .map(({ totalTokens, tokenIds, matched, ...body }) => ({
        body,
        attributes: [
          [TOKENIZED_PROMPT.from(), { prompts: [{ tokenIds, features: [] }], totalTokens, estimated: true }],
          [
            PREFIX_MATCH.from(),
            { totalBlocks: 9, blockSizeTokens: blockTokens, matchedBlocks: matched, cachedBlocks: matched },
          ],
        ],
      })),
};

producerContract(expectedLatencyProducer, situations);
pluginContract(expectedLatencyProducer, {
  testFile: import.meta.url,
  endpoints: () => manyEndpoints,
  exercise: ({ instance }) => {
    for (const endpoint of manyEndpoints) {
      const request = requestOf(1000);
      void instance.produce?.(request, manyEndpoints);
      instance.preRequest?.(request, chosen(endpoint));
    }
  },
});
const manyEndpoints = pool(300);

test("every candidate gets every part, from 0 up and finite, whatever engines report", () => {
  fc.assert(
    fc.property(
      fc.array(fc.array(anyNumber, { minLength: 5, maxLength: 5 }), { minLength: 1, maxLength: 6 }),
      (pages) => {
        const keys = [WAITING_QUEUE_SIZE, RUNNING_REQUESTS_SIZE, KV_CACHE_USAGE, CACHE_NUM_BLOCKS, CACHE_BLOCK_SIZE];
        const clock = new FakeClock();
        const endpoints = pages.map((page, slot) =>
          buildEndpoint(slot, { attributes: keys.map((key, i) => [key, page[i], clock.now()] as const) }),
        );
        const producer = producerOver(endpoints, { clock });
        for (let i = 0; i < 3; i++) {
          const request = requestOf(1000);
          const expected = producer.expect(request);
          for (const part of parts) {
            for (const value of expected[part]) {
              expect(value, part).toBeGreaterThanOrEqual(0);
              expect(value, part).toBeLessThan(Infinity);
            }
          }
          producer.send(request, endpoints[0]!);
          clock.advance(500);
        }
      },
    ),
    { numRuns: 50 },
  );
});

test("a table by slot has a cost for each candidate and nothing for others", () => {
  const producer = producerOver([]);
  const { ttftMs } = producer.expect(requestOf(1000), [buildEndpoint(4), buildEndpoint(1)]);
  expect(ttftMs).toHaveLength(5);
  expect([0, 1, 2, 3, 4].filter((slot) => !Number.isNaN(ttftMs[slot]))).toEqual([1, 4]);
});

test("knowing nothing, it tells endpoints apart by the requests that are there", () => {
  const endpoints = pool(3);
  const producer = producerOver(endpoints);
  const [first, second, third] = [requestOf(1000), requestOf(1000), requestOf(1000)];
  expect(new Set(producer.expect(first).ttftMs).size).toBe(1);
  producer.send(first, endpoints[0]!);
  const after = producer.expect(second);
  expect(after.ttftMs[0]).toBeGreaterThan(after.ttftMs[1]!);
  expect(after.harmMs[0]).toBeGreaterThan(0);
  expect([after.ttftMs[2], after.harmMs[2]]).toEqual([after.ttftMs[1], 0]);
  producer.send(second, endpoints[1]!);
  const last = producer.expect(third);
  expect(last.ttftMs[2]).toBeLessThan(Math.min(last.ttftMs[0]!, last.ttftMs[1]!));
});

test("what an endpoint holds of the prompt is not computed there", () => {
  const endpoints = pool(2);
  const { prefillMs } = producerOver(endpoints).expect(requestOf(6400, Int32Array.of(0, 90)));
  expect(prefillMs[1]).toBeLessThan(prefillMs[0]! / 5);
});

test("the last token of a prompt is computed even where all of it is cached", () => {
  const { prefillMs } = producerOver(pool(1)).expect(requestOf(6400, Int32Array.of(100)));
  expect(prefillMs[0]).toBeGreaterThan(0);
  expect(prefillMs[0]).toBeLessThan(0.1);
});

test("the matches are those of the producer that is named", () => {
  const producer = producerOver(pool(1), { params: { prefixMatchInfoProducerName: "far" } });
  const near = producer.expect(requestOf(6400, Int32Array.of(100)));
  expect(near.prefillMs[0]).toBeGreaterThan(100);
});

test.each([
  ["no tokens", buildRequest({ body: { stream: true } })],
  ["a length that is no number", requestOf(Number.NaN)],
  ["an absurd length", requestOf(2 ** 53)],
])("of a request with %s, the queue alone is expected, and it is counted as a request", (_, request) => {
  const endpoints = pool(2);
  const producer = producerOver(endpoints);
  producer.send(requestOf(1000), endpoints[0]!);
  const { ttftMs, prefillMs } = producer.expect(request);
  expect([...prefillMs]).toEqual([0, 0]);
  expect(ttftMs[0]).toBeGreaterThan(ttftMs[1]!);
  producer.send(request, endpoints[1]!);
  expect(producer.presentAt(endpoints[1]!)).toBe(1);
  producer.firstToken(request, endpoints[1]!);
  producer.end(request, endpoints[1]!);
  expect(producer.presentAt(endpoints[1]!)).toBe(0);
});

test("a prefix match for a prompt of unknown length does not make it negative", () => {
  const producer = producerOver(pool(1));
  const { prefillMs, ttftMs } = producer.expect(requestOf(0, Int32Array.of(5)));
  expect([prefillMs[0], ttftMs[0]]).toEqual([0, 15]);
});

test("a prefix that many requests on their way share is spared where it is not cached, one that few share is not", () => {
  const endpoints = pool(4);
  const producer = producerOver(endpoints);
  const held = (): Int32Array => Int32Array.of(128, 0, 0, 0);
  const spared = (): readonly number[] => [...producer.expect(requestOf(8192, held())).sparedMs];
  expect(spared()).toEqual([0, 0, 0, 0]);
  const sent = Array.from({ length: 40 }, () => requestOf(8192, held()));
  for (const request of sent) {
    producer.expect(request);
    producer.send(request, endpoints[0]!);
  }
  const { sparedMs, prefillMs } = producer.expect(requestOf(8192, held()));
  // 40 less three deviations, four times, half of them for each of two that hold it: of the 8192 tokens the test has 2000.
  expect(sparedMs[0]).toBe(0);
  expect(sparedMs[1]! / prefillMs[1]!).toBeGreaterThan(0.15);
  expect(sparedMs[1]! / prefillMs[1]!).toBeLessThan(0.25);
  expect(sparedMs[3]).toBe(sparedMs[1]);
  for (const request of sent) {
    producer.firstToken(request, endpoints[0]!);
    producer.end(request, endpoints[0]!);
  }
  expect(spared()).toEqual([0, 0, 0, 0]);
});

test("who comes is shared among all endpoints that hold the prefix: the more hold it, the less is spared at one more", () => {
  const endpoints = pool(4);
  const producer = producerOver(endpoints);
  for (let i = 0; i < 16; i++) {
    const request = requestOf(2000);
    producer.expect(request);
    producer.send(request, endpoints[0]!);
  }
  const sparedWith = (...blocks: readonly number[]): number =>
    producer.expect(requestOf(2000, Int32Array.from(blocks))).sparedMs[3]!;
  // 16 less three deviations, four times, are 16: eight for each of two that would hold it, four for each of four.
  expect(sparedWith(31, 31, 31, 0) / sparedWith(31, 0, 0, 0)).toBeCloseTo(4 / 5 / (8 / 9), 6);
});

test("a request that is refused, or decided once more, shares its prefix no longer", () => {
  const endpoints = pool(2);
  const producer = producerOver(endpoints);
  for (let i = 0; i < 40; i++) {
    const request = requestOf(8192, Int32Array.of(128, 0));
    producer.expect(request);
    producer.send(request, endpoints[0]!);
    producer.expect(request);
    producer.send(request, endpoints[1]!);
    producer.headers(request, endpoints[1]!, 503);
  }
  expect([...producer.expect(requestOf(8192, Int32Array.of(128, 0))).sparedMs]).toEqual([0, 0]);
});

test("what nobody holds brings others: the more was new on an endpoint, the more a new prompt would do harm there", () => {
  const endpoints = pool(2);
  const producer = producerOver(endpoints);
  // All that the first ones have is found: later ones are expected to be asked for again.
  for (let i = 0; i < 10; i++) producer.expect(requestOf(6400, Int32Array.of(100, 100)));
  const first = requestOf(6400);
  producer.expect(first);
  producer.send(first, endpoints[0]!);
  producer.clock.advance(30_000);
  producer.firstToken(first, endpoints[0]!);
  for (let i = 0; i < 100; i++) {
    producer.clock.advance(100);
    producer.expect(requestOf(64, Int32Array.of(1, 1)));
  }
  producer.end(first, endpoints[0]!);
  const { harmMs } = producer.expect(requestOf(6400));
  expect(harmMs[1]).toBeGreaterThan(0);
  expect(harmMs[0]! / harmMs[1]!).toBeGreaterThan(1.5);
  const held = producer.expect(requestOf(6400, Int32Array.of(100, 100))).harmMs;
  expect(held[0]! - held[1]!).toBeLessThan(0.2 * (harmMs[0]! - harmMs[1]!));
});

test("streams that end well tell how many times as long as their first token answers take", () => {
  const endpoints = pool(1);
  const producer = producerOver(endpoints);
  const ratio = (): number => producer.expect(requestOf(100)).usualEndToEndRatio;
  const answer = (event: Partial<ResponseBodyEvent>, options: RequestOptions = {}): void => {
    const request = requestOf(100, undefined, options);
    producer.expect(request);
    producer.send(request, endpoints[0]!);
    producer.clock.advance(50);
    producer.firstToken(request, endpoints[0]!);
    producer.clock.advance(950);
    // Another decision notes by then that a prompt whose first token nobody sees should be computed.
    producer.expect(requestOf(100));
    producer.end(request, endpoints[0]!, event);
  };
  answer({ terminationCause: "error" });
  answer({}, { body: { stream: false } });
  expect(ratio()).toBeNaN();
  answer({});
  expect(ratio()).toBe(20);
});

test("an answer's length is expected to be what the model's answers were, at most what the client allows", () => {
  const endpoints = pool(1);
  const producer = producerOver(endpoints);
  const before = producer.expect(requestOf(100)).decodeMs[0]!;
  for (let i = 0; i < 20; i++) {
    const request = requestOf(100);
    producer.send(request, endpoints[0]!);
    producer.firstToken(request, endpoints[0]!);
    producer.end(request, endpoints[0]!, { usage: usageOf({ completionTokens: 2000 }) });
  }
  const after = producer.expect(requestOf(100)).decodeMs[0]!;
  expect(after / before).toBeGreaterThan(5);
  expect(producer.expect(requestOf(100, undefined, { body: { maxOutputTokens: 10 } })).decodeMs[0]).toBeLessThan(
    after / 50,
  );
});

test("an engine that reports no usage is learned from by the events it sends", () => {
  const endpoints = pool(1);
  const producer = producerOver(endpoints);
  const request = requestOf(100);
  producer.send(request, endpoints[0]!);
  producer.firstToken(request, endpoints[0]!);
  producer.clock.advance(10_000);
  producer.end(request, endpoints[0]!, { streamedEvents: 500 });
  expect(producer.state().model).toMatchObject({ meanOutputTokens: 500, stepSamples: 1, tokenRatio: 1 });
});

test("an engine that counts other tokens and reports cached ones corrects both", () => {
  const endpoints = pool(1);
  const producer = producerOver(endpoints);
  for (let i = 0; i < 60; i++) {
    const request = requestOf(6400, Int32Array.of(80));
    producer.send(request, endpoints[0]!);
    producer.firstToken(request, endpoints[0]!);
    // Half as many tokens, and of the 5120 expected in the cache none.
    producer.end(request, endpoints[0]!, {
      usage: usageOf({ promptTokens: 3200, completionTokens: 10, cachedTokens: 0 }),
    });
  }
  expect(producer.state().model["tokenRatio"]).toBeCloseTo(2, 6);
  expect(producer.expect(requestOf(6400, Int32Array.of(80))).prefillMs[0]).toBeGreaterThan(150);
});

test.each(["client-disconnect", "evicted", "error"] as const)(
  "a request that ends without an answer (%s) is released and teaches nothing",
  (terminationCause) => {
    const endpoints = pool(1);
    const producer = producerOver(endpoints);
    const before = producer.state().model;
    const [early, late] = [requestOf(100), requestOf(100)];
    producer.send(early, endpoints[0]!);
    producer.send(late, endpoints[0]!);
    producer.firstToken(late, endpoints[0]!);
    producer.end(early, endpoints[0]!, { startOfStream: true, chunkBytes: 0, terminationCause });
    producer.end(late, endpoints[0]!, { terminationCause, usage: usageOf({ completionTokens: 9000 }) });
    expect(producer.presentAt(endpoints[0]!)).toBe(0);
    expect(producer.state().model).toEqual(before);
  },
);

test.each([429, 500, 503])("an engine that answers %d at once is not taken to be fast", (status) => {
  const endpoints = pool(2);
  const producer = producerOver(endpoints);
  for (let i = 0; i < 20; i++) {
    const request = requestOf(8000);
    producer.send(request, endpoints[0]!);
    producer.clock.advance(1);
    producer.headers(request, endpoints[0]!, status);
    producer.firstToken(request, endpoints[0]!);
    producer.end(request, endpoints[0]!, { streamedEvents: 0 });
  }
  expect(producer.presentAt(endpoints[0]!)).toBe(0);
  expect(producer.state().model).toMatchObject({ prefillSamples: 0, stepSamples: 0, meanOutputTokens: 200 });
  expect(producer.state().endpoints.map(({ slowness }) => slowness)).toEqual([1]);
});

test("an answer that comes whole although a stream was asked for has no first token", () => {
  const endpoints = pool(1);
  const producer = producerOver(endpoints);
  for (let i = 0; i < 3; i++) {
    const request = requestOf(100);
    producer.send(request, endpoints[0]!);
    producer.headers(request, endpoints[0]!, 200);
    producer.clock.advance(20_000);
    producer.end(request, endpoints[0]!, { startOfStream: true, streamedEvents: 0 });
  }
  expect(producer.state().model["prefillSamples"]).toBe(0);
  expect(producer.presentAt(endpoints[0]!)).toBe(0);
});

test("a request that is decided once more leaves the endpoint it was counted on", () => {
  const endpoints = pool(2);
  const producer = producerOver(endpoints);
  const request = requestOf(1000);
  producer.send(request, endpoints[0]!);
  producer.send(request, endpoints[1]!);
  expect(endpoints.map(producer.presentAt)).toEqual([0, 1]);
  producer.firstToken(request, endpoints[1]!);
  producer.end(request, endpoints[1]!);
  producer.end(request, endpoints[1]!);
  expect(endpoints.map(producer.presentAt)).toEqual([0, 0]);
});

test("prompts whose first token nobody sees leave the queue between two decisions when they should be computed", () => {
  const [endpoint] = pool(1);
  const producer = producerOver([endpoint!]);
  const queueMs = (): number => producer.expect(requestOf(1000)).queueMs[0]!;
  expect(queueMs()).toBe(0);
  producer.clock.advance(1);
  const silent = requestOf(500, undefined, { body: { stream: false } });
  producer.expect(silent);
  producer.send(silent, endpoint!);
  expect(queueMs()).toBeCloseTo(15 + 0.125, 6);
  producer.clock.advance(10);
  expect(queueMs()).toBeCloseTo(5 + 0.125, 6);
  producer.clock.advance(20);
  expect(queueMs()).toBe(0);
});

test("decisions follow the load that an endpoint usually has", () => {
  const [endpoint] = pool(1);
  const producer = producerOver([endpoint!]);
  const decodeMs = (): number => producer.expect(requestOf(1000)).decodeMs[0]!;
  const there = requestOf(50_000);
  producer.expect(there);
  producer.send(there, endpoint!);
  producer.firstToken(there, endpoint!);
  const atFirst = decodeMs();
  for (let i = 0; i < 600; i++) {
    producer.clock.advance(100);
    decodeMs();
  }
  expect(decodeMs()).toBeGreaterThan(atFirst * 1.03);
});

test("a decision without a target counts nowhere", () => {
  const { instance } = buildPlugin(expectedLatencyProducer);
  const request = requestOf(1000);
  expect(instance.preRequest?.(request, { primaryProfile: "default", profiles: new Map() })).toBeUndefined();
  expect(instance.dumpState!()).toMatchObject({ totalEndpoints: 0 });
});

test("an endpoint that goes takes its record with it and starts anew when it is back; answers of before do no harm", () => {
  const endpoints = pool(2);
  const producer = producerOver(endpoints);
  const [gone] = endpoints;
  const request = requestOf(50_000);
  producer.expect(request);
  producer.send(request, gone!);
  producer.change("delete", gone!);
  expect(producer.state().totalEndpoints).toBe(1);
  producer.change("addOrUpdate", gone!);
  expect(producer.expect(requestOf(100), endpoints).queueMs[0]).toBe(0);
  producer.firstToken(request, gone!);
  producer.end(request, gone!);
  expect(producer.presentAt(gone!)).toBe(0);
  const again = requestOf(100);
  producer.send(again, gone!);
  expect(producer.presentAt(gone!)).toBe(1);
});

test("another endpoint in a slot that was used before has nothing of the one before it", () => {
  const [before, after] = [buildEndpoint(0, { name: "before" }), buildEndpoint(0, { name: "after" })];
  const producer = producerOver([before]);
  producer.expect(requestOf(100));
  producer.send(requestOf(50_000), before);
  producer.change("delete", before);
  producer.change("addOrUpdate", after);
  expect(producer.expect(requestOf(100)).queueMs[0]).toBe(0);
});

test("an endpoint that is not known is estimated and not kept", () => {
  const producer = producerOver([]);
  expect(producer.expect(requestOf(100), [buildEndpoint(0)]).ttftMs[0]).toBeGreaterThan(0);
  expect(producer.state().totalEndpoints).toBe(0);
});

/** An endpoint whose page says this, and that one request of others runs and two wait. */
function loaded(slot: number, atMs: number, usage: number): Endpoint {
  return buildEndpoint(slot, {
    attributes: [
      [WAITING_QUEUE_SIZE, 2, atMs],
      [RUNNING_REQUESTS_SIZE, 1, atMs],
      [KV_CACHE_USAGE, usage, atMs],
      [CACHE_NUM_BLOCKS, 1000, 0],
      [CACHE_BLOCK_SIZE, 16, 0],
    ],
  });
}

test("what engines report counts while it is fresh, and not at all when it is old", () => {
  const clock = new FakeClock();
  const [full, free] = [loaded(0, clock.now(), 1), buildEndpoint(1)];
  const producer = producerOver([full, free], { clock, stalenessMs: 2000 });
  const decide = (): number => {
    const request = requestOf(2000);
    const { memoryMs } = producer.expect(request);
    producer.send(request, free);
    producer.end(request, free, { terminationCause: "error" });
    return memoryMs[0]!;
  };
  for (let i = 0; i < 20; i++) {
    clock.advance(100);
    writeAttribute(full, WAITING_QUEUE_SIZE, 2, clock.now());
    writeAttribute(full, RUNNING_REQUESTS_SIZE, 1, clock.now());
    writeAttribute(full, KV_CACHE_USAGE, 1, clock.now());
    decide();
  }
  expect(producer.presentAt(full)).toBeGreaterThan(1.5);
  expect(decide()).toBeGreaterThan(100);
  clock.advance(2001);
  const there = producer.presentAt(full);
  expect(decide()).toBe(0);
  expect(producer.presentAt(full)).toBe(there);
});

test("where others send requests too, one endpoint is expected to hold a prefix nobody is known to hold", () => {
  const clock = new FakeClock();
  const endpoints = [0, 1, 2, 3].map((slot) => loaded(slot, clock.now(), 0.1));
  const producer = producerOver(endpoints, { clock, stalenessMs: 1e9 });
  for (let i = 0; i < 50; i++) {
    clock.advance(100);
    producer.expect(requestOf(1000));
  }
  const { prefillMs } = producer.expect(requestOf(10_000));
  const sorted = [...prefillMs].sort((a, b) => a - b);
  expect(sorted[0]).toBeLessThan(sorted[1]! * 0.6);
  expect(sorted[1]).toBe(sorted[3]);
  // Another picker, whose endpoints are known in another order, expects it of the same one.
  const mirrored = producerOver(endpoints.toReversed(), { clock, stalenessMs: 1e9 });
  for (let i = 0; i < 50; i++) {
    clock.advance(100);
    mirrored.expect(requestOf(1000));
  }
  const other = mirrored.expect(requestOf(10_000)).prefillMs;
  expect(other.indexOf(Math.min(...other))).toBe(prefillMs.indexOf(sorted[0]!));
});

test("alone, it expects no prefix that it did not send", () => {
  const producer = producerOver(pool(4));
  producer.expect(requestOf(10_000));
  expect(new Set(producer.expect(requestOf(10_000)).prefillMs).size).toBe(1);
});

test("expected and observed times to first token are on the metrics page, with their distance", () => {
  const metrics = new RecordedSeries();
  const endpoints = pool(1);
  const producer = producerOver(endpoints, { metrics });
  const request = requestOf(1000);
  const expectedMs = producer.expect(request).ttftMs[0]!;
  producer.send(request, endpoints[0]!);
  expect(request.attributes.get(EXPECTED_LATENCY.from())).toBeUndefined();
  producer.clock.advance(expectedMs * 2);
  producer.firstToken(request, endpoints[0]!);
  producer.step(request, endpoints[0]!, {});
  producer.end(request, endpoints[0]!);
  const labels = "{expected-latency-producer,expected-latency-producer}";
  expect(metrics.series).toEqual({
    [`llm_d_epp_expected_ttft_seconds${labels}`]: [expectedMs / 1000],
    [`llm_d_epp_observed_ttft_seconds${labels}`]: [(expectedMs * 2) / 1000],
    [`llm_d_epp_expected_ttft_error_ratio${labels}`]: [0.5],
  });
});

test("a request that was not estimated, or is no stream, has no error to show", () => {
  const metrics = new RecordedSeries();
  const endpoints = pool(1);
  const producer = producerOver(endpoints, { metrics });
  const [unseen, whole] = [requestOf(1000), requestOf(1000, undefined, { body: { stream: false } })];
  producer.expect(whole);
  for (const request of [unseen, whole]) {
    producer.send(request, endpoints[0]!);
    producer.clock.advance(100);
    producer.step(request, endpoints[0]!, { startOfStream: true, endOfStream: true, terminationCause: "natural" });
  }
  expect(metrics.series).toEqual({});
});

test("a thousand endpoints are all estimated and kept, and a hundred of them dumped", () => {
  const endpoints = pool(1000);
  const producer = producerOver(endpoints);
  const request = requestOf(1000);
  const { ttftMs } = producer.expect(request);
  expect(ttftMs.every((ms) => ms > 0)).toBe(true);
  producer.send(request, endpoints[999]!);
  expect(producer.expect(requestOf(1000)).queueMs[999]).toBeGreaterThan(0);
  const { endpoints: dumped, totalEndpoints, maxEndpoints } = producer.state();
  expect([dumped.length, totalEndpoints, maxEndpoints]).toEqual([100, 1000, 100]);
});
