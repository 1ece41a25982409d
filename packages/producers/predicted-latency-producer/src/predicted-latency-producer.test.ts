import {
  ENCODER_MATCH,
  type Endpoint,
  Headers,
  hasRole,
  IN_FLIGHT_LOAD,
  type InferenceRequest,
  KV_CACHE_USAGE,
  LATENCY_PREDICTION,
  PREFIX_MATCH,
  type ResponseBodyEvent,
  RUNNING_REQUESTS_SIZE,
  type SchedulingResult,
  TOKENIZED_PROMPT,
  WAITING_QUEUE_SIZE,
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
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { type FakePredictor, sound, startFakePredictor, until } from "../test/fake-predictor.ts";
import { RecordedSeries } from "../test/recorded-series.ts";
import predictedLatencyProducer from "./index.ts";

// Nobody listens on port 1: the contracts hold without a predictor.
vi.stubEnv("PREDICTION_SERVER_URL", "http://127.0.0.1:1");
vi.stubEnv("TRAINING_SERVER_URL", "http://127.0.0.1:1");
vi.stubEnv("LATENCY_COALESCE_WINDOW_MS", "0");

const nowMs = 1_000_000;

function endpointOf(
  slot: number,
  waiting: number,
  options: { running?: number; labels?: Record<string, string> } = {},
) {
  const { running = 1, labels = {} } = options;
  return buildEndpoint(slot, {
    labels,
    attributes: [
      [KV_CACHE_USAGE, 0.5, nowMs],
      [WAITING_QUEUE_SIZE, waiting, nowMs],
      [IN_FLIGHT_LOAD.from(), { requests: running, tokens: 640 }, nowMs],
    ],
  });
}

function requestOf(headers: Readonly<Record<string, string>> = {}, more: RequestOptions = {}): InferenceRequest {
  const blocks = Int32Array.of(3, 1);
  return buildRequest({
    headers,
    nowMs,
    ...more,
    attributes: [
      [TOKENIZED_PROMPT.from(), { prompts: [], totalTokens: 256, estimated: true }],
      [PREFIX_MATCH.from(), { totalBlocks: 4, blockSizeTokens: 64, matchedBlocks: blocks, cachedBlocks: blocks }],
      ...(more.attributes ?? []),
    ],
  });
}

function chosen(primary: Endpoint, others: Readonly<Record<string, Endpoint>> = {}): SchedulingResult {
  const profile = (target: Endpoint) => ({ targets: [target], candidates: [target], totals: Float64Array.of(1) });
  const profiles = new Map(Object.entries(others).map(([name, target]) => [name, profile(target)]));
  return { primaryProfile: "decode", profiles: profiles.set("decode", profile(primary)) };
}

let predictor: FakePredictor;
const disposals: (() => unknown)[] = [];

beforeEach(async () => {
  predictor = await startFakePredictor();
});
afterEach(async () => {
  for (const dispose of disposals.splice(0)) await dispose();
  await predictor.close();
});

/** A producer whose predictor is the fake one. */
function producerOver(endpoints: readonly Endpoint[], options: BuildPluginOptions = {}, withPredictor = true) {
  const clock = new FakeClock(nowMs);
  if (withPredictor) {
    vi.stubEnv("PREDICTION_SERVER_URL", predictor.url);
    vi.stubEnv("TRAINING_SERVER_URL", predictor.url);
  }
  const { instance } = buildPlugin(predictedLatencyProducer, { clock, endpoints: () => endpoints, ...options });
  vi.stubEnv("PREDICTION_SERVER_URL", "http://127.0.0.1:1");
  vi.stubEnv("TRAINING_SERVER_URL", "http://127.0.0.1:1");
  if (
    !hasRole(instance, "dataProducer") ||
    !hasRole(instance, "preRequest") ||
    !hasRole(instance, "responseBodyProcessor") ||
    !hasRole(instance, "responseHeaderProcessor")
  ) {
    throw new Error("a role is missing");
  }
  disposals.push(() => instance.dispose?.());
  const key = LATENCY_PREDICTION.from(options.name);
  return {
    instance,
    clock,
    predict: async (request: InferenceRequest) => {
      await instance.produce(request, endpoints);
      return request.attributes.get(key);
    },
    chunk: (request: InferenceRequest, result: SchedulingResult, event: Partial<ResponseBodyEvent> = {}): void =>
      instance.responseBody(request, result, {
        startOfStream: false,
        endOfStream: false,
        chunkBytes: 1,
        usage: undefined,
        streamedEvents: 0,
        terminationCause: event.endOfStream === true ? "natural" : undefined,
        setDynamicMetadata: () => {},
        ...event,
      }),
    /** Rows that the training server gets in the next second. */
    trained: async () => {
      const before = predictor.received.length;
      clock.advance(1000);
      await until(() => predictor.received.length > before);
      return predictor.received.at(-1)!.body.entries!;
    },
  };
}

pluginContract(predictedLatencyProducer, {
  testFile: import.meta.url,
  params: { useEncoderCacheFeatures: true },
  endpoints: () => many,
  exercise: ({ instance }) => {
    for (const endpoint of many) {
      const request = requestOf();
      void instance.produce?.(request, [endpoint]);
      instance.preRequest?.(request, chosen(endpoint));
    }
  },
});
const many = Array.from({ length: 300 }, (_, slot) => endpointOf(slot, 1));
const anyNumber = fc.oneof(fc.nat(9), fc.double());
producerContract(predictedLatencyProducer, {
  signals: [
    endpointSignal(KV_CACHE_USAGE, anyNumber),
    endpointSignal(WAITING_QUEUE_SIZE, anyNumber),
    endpointSignal(RUNNING_REQUESTS_SIZE, anyNumber),
  ],
  request: () =>
    fc.record({
      headers: fc.record({ "x-llm-d-slo-ttft-ms": fc.constantFrom("1", "x") }),
      attributes: fc.constant([[TOKENIZED_PROMPT.from(), { prompts: [], totalTokens: 9, estimated: true }] as const]),
    }),
});

test("each candidate gets its prediction, and the predictor all features", async () => {
  const endpoints = [endpointOf(1, 20, { running: 30 }), endpointOf(0, 5, { running: 10 })];
  const { predict } = producerOver(endpoints, { params: { streamingMode: true } });
  const prediction = await predict(requestOf({ "x-llm-d-slo-ttft-ms": "100", "x-llm-d-slo-tpot-ms": "20" }));
  expect(prediction).toEqual({
    ttftMs: Float64Array.of(50, 200),
    tpotMs: Float64Array.of(10, 30),
    ttftHeadroomMs: Float64Array.of(50, -100),
    tpotHeadroomMs: Float64Array.of(10, -10),
    ttftValid: Uint8Array.of(1, 0),
    tpotValid: Uint8Array.of(1, 0),
    dispatchedRequests: Int32Array.of(0, 0),
  });
  expect(predictor.received[0]!.body.requests).toEqual(
    [
      { num_request_waiting: 20, num_request_running: 30, prefix_cache_score: 0.25 },
      { num_request_waiting: 5, num_request_running: 10, prefix_cache_score: 0.75 },
    ].map((row) => ({
      kv_cache_percentage: 0.5,
      input_token_length: 256,
      num_tokens_generated: 1,
      encoder_input_size: 0,
      encoder_matched_size: 0,
      prefill_tokens_in_flight: 640,
      decode_tokens_in_flight: 0,
      ...row,
    })),
  );
});

test("a pool of 250 endpoints is predicted in three calls", async () => {
  const endpoints = Array.from({ length: 250 }, (_, slot) => endpointOf(slot, slot));
  const { predict } = producerOver(endpoints);
  const prediction = await predict(requestOf());
  expect(predictor.received.map(({ body }) => body.requests!.length).toSorted()).toEqual([100, 100, 50]);
  expect([...prediction!.ttftMs]).toEqual(endpoints.map((_, slot) => slot * 10));
});

test("an endpoint of which something is unknown or stale gets no prediction, the others do", async () => {
  const known = endpointOf(0, 5);
  const never = buildEndpoint(1, { attributes: [[WAITING_QUEUE_SIZE, 1, nowMs]] });
  const stale = buildEndpoint(2, {
    attributes: [
      [KV_CACHE_USAGE, 0.5, nowMs - 60_000],
      [WAITING_QUEUE_SIZE, 1, nowMs],
      [IN_FLIGHT_LOAD.from(), { requests: 1, tokens: 1 }, nowMs],
    ],
  });
  const reported = buildEndpoint(3, {
    attributes: [
      [KV_CACHE_USAGE, 0.5, nowMs],
      [WAITING_QUEUE_SIZE, 2, nowMs],
      [RUNNING_REQUESTS_SIZE, 4, nowMs],
    ],
  });
  const { predict } = producerOver([known, never, stale, reported]);
  const prediction = await predict(requestOf());
  expect([...prediction!.ttftMs]).toEqual([50, Number.NaN, Number.NaN, 20]);
  expect(predictor.received[0]!.body.requests![1]).toMatchObject({
    num_request_running: 4,
    prefill_tokens_in_flight: 0,
  });
});

test("a request without tokens, or training only, asks nobody and does not wait", async () => {
  const endpoints = [endpointOf(0, 5)];
  expect(producerOver(endpoints).instance.produce(buildRequest({ nowMs }), endpoints)).toBeUndefined();
  const training = producerOver(endpoints, { params: { predictInProduce: false } });
  expect(training.instance.produce(requestOf(), endpoints)).toBeUndefined();
  expect(predictor.received).toEqual([]);
});

test("a predictor that fails leaves requests without predictions, and is asked again a second later", async () => {
  const endpoints = [endpointOf(0, 5)];
  const producer = producerOver(endpoints);
  predictor.answer = (_received, response) => void response.writeHead(500).end();
  expect(await producer.predict(requestOf())).toBeUndefined();
  expect(producer.instance.produce(requestOf(), endpoints)).toBeUndefined();
  predictor.answer = sound;
  producer.clock.advance(1000);
  expect((await producer.predict(requestOf()))?.ttftMs[0]).toBe(50);
  expect(producer.instance.dumpState?.()).toMatchObject({ failedPredictions: 1 });
});

test("an answer that comes after the request went on is not written", async () => {
  const endpoints = [endpointOf(0, 5)];
  const { instance } = producerOver(endpoints);
  const request = requestOf();
  const produced = instance.produce(request, endpoints);
  request.markLate("predicted-latency-producer");
  await produced;
  expect(request.attributes.get(LATENCY_PREDICTION.from())).toBeUndefined();
});

test("roles are sent, and a prefill endpoint has no time per token", async () => {
  const endpoints = [
    endpointOf(0, 5, { labels: { role: "prefill" } }),
    endpointOf(1, 5, { labels: { role: "decode" } }),
  ];
  const params = { streamingMode: true, endpointRoleLabel: "role" };
  const prediction = await producerOver(endpoints, { params }).predict(requestOf());
  expect(predictor.received[0]!.body.requests!.map((row) => row["pod_type"])).toEqual(["prefill", "decode"]);
  expect([[...prediction!.tpotHeadroomMs], [...prediction!.tpotValid]]).toEqual([
    [0, -1],
    [1, 0],
  ]);
});

test("encoder features are sent when they are asked for", async () => {
  const endpoints = [endpointOf(0, 5)];
  const match = [ENCODER_MATCH.from(), { requestSize: 3, matchedSize: Float64Array.of(2) }] as const;
  await producerOver(endpoints).predict(requestOf({}, { attributes: [match] }));
  const params = { useEncoderCacheFeatures: true };
  await producerOver(endpoints, { params }).predict(requestOf({}, { attributes: [match] }));
  expect(predictor.received.map(({ body }) => body.requests![0]!["encoder_matched_size"])).toEqual([0, 2]);
  expect(predictor.received[1]!.body.requests![0]!["encoder_input_size"]).toBe(3);
});

test("requests that run tighten the limit of their endpoint and count, until they end", async () => {
  const endpoints = [endpointOf(0, 5, { running: 30 }), endpointOf(1, 5, { running: 30 })];
  const producer = producerOver(endpoints, { params: { streamingMode: true, sloBufferFactor: 2 } });
  const tight = requestOf({ "x-slo-tpot-ms": "20" });
  await producer.predict(tight);
  producer.instance.preRequest(tight, chosen(endpoints[0]!));
  expect(tight.attributes.get(LATENCY_PREDICTION.from())).toBeUndefined();
  const loose = { "x-slo-tpot-ms": "100" };
  const during = await producer.predict(requestOf(loose));
  expect([[...during!.tpotHeadroomMs], [...during!.dispatchedRequests]]).toEqual([
    [10, 170],
    [1, 0],
  ]);
  producer.chunk(tight, chosen(endpoints[0]!), { endOfStream: true, terminationCause: "client-disconnect" });
  const after = await producer.predict(requestOf(loose));
  expect([[...after!.tpotHeadroomMs], [...after!.dispatchedRequests]]).toEqual([
    [170, 170],
    [0, 0],
  ]);
});

test("a streamed answer teaches its time to first token and per token, with the features of the decision", async () => {
  const endpoints = [endpointOf(0, 5), endpointOf(1, 9)];
  const producer = producerOver(endpoints, { params: { streamingMode: true } });
  const request = requestOf();
  const result = chosen(endpoints[0]!, { prefill: endpoints[1]! });
  await producer.predict(request);
  producer.instance.preRequest(request, result);
  producer.clock.advance(80);
  producer.chunk(request, result, { startOfStream: true });
  producer.clock.advance(300);
  producer.chunk(request, result);
  producer.clock.advance(100);
  producer.chunk(request, result, { endOfStream: true, streamedEvents: 5 });
  producer.chunk(request, result, { endOfStream: true, streamedEvents: 5 });
  const rows = await producer.trained();
  expect(rows).toHaveLength(2);
  expect(rows).toContainEqual(
    expect.objectContaining({ num_request_waiting: 9, actual_ttft_ms: 80, actual_tpot_ms: 0, num_tokens_generated: 1 }),
  );
  expect(rows).toContainEqual(
    expect.objectContaining({
      num_request_waiting: 5,
      actual_ttft_ms: 0,
      actual_tpot_ms: 100,
      prefix_cache_score: 0.75,
    }),
  );
  expect(new Date(String(rows[0]!["timestamp"])).toISOString()).toBe(rows[0]!["timestamp"]);
});

test("without streaming mode the whole answer counts as time to first token", async () => {
  const endpoints = [endpointOf(0, 5)];
  const producer = producerOver(endpoints, { params: { predictInProduce: false } });
  const request = requestOf();
  await producer.predict(request);
  producer.instance.preRequest(request, chosen(endpoints[0]!));
  producer.clock.advance(100);
  producer.chunk(request, chosen(endpoints[0]!));
  producer.clock.advance(400);
  producer.chunk(request, chosen(endpoints[0]!), { endOfStream: true });
  expect(await producer.trained()).toMatchObject([{ actual_ttft_ms: 500, actual_tpot_ms: 0 }]);
});

test.each(["client-disconnect", "evicted", "error", "status"] as const)(
  "an answer that ends with %s teaches nothing",
  async (cause) => {
    const endpoints = [endpointOf(0, 5)];
    const producer = producerOver(endpoints);
    const request = requestOf();
    await producer.predict(request);
    const result = chosen(endpoints[0]!);
    producer.instance.preRequest(request, result);
    producer.clock.advance(100);
    producer.instance.responseHeaders(request, result, {
      headers: new Headers(),
      status: cause === "status" ? 500 : 200,
      servedBy: undefined,
      proxyMetadata: {},
      setHeaders: new Map(),
    });
    producer.chunk(request, result, { endOfStream: true, terminationCause: cause === "status" ? "natural" : cause });
    expect(producer.instance.dumpState?.()).toMatchObject({ totalEndpoints: 0, trainingRows: { kept: 0 } });
  },
);

test("requests with one id do not disturb each other", async () => {
  const endpoints = [endpointOf(0, 5), endpointOf(1, 9)];
  const producer = producerOver(endpoints);
  const [first, second] = [requestOf(), requestOf()];
  expect(first.id).toBe(second.id);
  for (const request of [first, second]) await producer.predict(request);
  producer.instance.preRequest(first, chosen(endpoints[0]!));
  producer.instance.preRequest(second, chosen(endpoints[1]!));
  producer.clock.advance(100);
  producer.chunk(first, chosen(endpoints[0]!), { endOfStream: true });
  expect(producer.instance.dumpState?.()).toMatchObject({ endpoints: [{ endpoint: "default/server-1", requests: 1 }] });
});

test("metrics tell predictions, durations, times and violations by model", async () => {
  const endpoints = [endpointOf(0, 5, { running: 30 })];
  const metrics = new RecordedSeries();
  const producer = producerOver(endpoints, { metrics, name: "p", params: { streamingMode: true } });
  const request = requestOf({ "x-slo-ttft-ms": "79", "x-slo-tpot-ms": "1000" }, { targetModel: "target" });
  await producer.predict(request);
  const result = chosen(endpoints[0]!);
  producer.instance.preRequest(request, result);
  producer.clock.advance(80);
  producer.chunk(request, result, { startOfStream: true });
  producer.clock.advance(100);
  producer.chunk(request, result, { endOfStream: true, streamedEvents: 5 });
  const labels = "p,predicted-latency-producer,test-model,target";
  expect(metrics.series).toEqual({
    [`llm_d_epp_request_predicted_ttft_seconds{${labels}}`]: [0.05],
    [`llm_d_epp_request_predicted_tpot_seconds{${labels}}`]: [0.03],
    [`llm_d_epp_request_ttft_prediction_duration_seconds{${labels}}`]: [0],
    [`llm_d_epp_request_tpot_prediction_duration_seconds{${labels}}`]: [0],
    [`llm_d_epp_request_slo_violation_total{${labels},ttft}`]: 1,
    [`llm_d_epp_inference_request_metric{${labels},ttft_prediction_duration}`]: 0,
    [`llm_d_epp_inference_request_metric{${labels},tpot_prediction_duration}`]: 0,
    [`llm_d_epp_inference_request_metric{${labels},ttft}`]: 0.08,
    [`llm_d_epp_inference_request_metric{${labels},tpot}`]: 0.025,
    [`llm_d_epp_inference_request_metric{${labels},predicted_ttft}`]: 0.05,
    [`llm_d_epp_inference_request_metric{${labels},predicted_tpot}`]: 0.03,
    [`llm_d_epp_inference_request_metric{${labels},ttft_slo_violation}`]: 1,
    [`llm_d_epp_inference_request_metric{${labels},tpot_slo_violation}`]: 0,
  });
});

test("a thousand pairs of models have series of their own, the rest is other", async () => {
  const endpoints = [endpointOf(0, 5)];
  const metrics = new RecordedSeries();
  const producer = producerOver(endpoints, { metrics, params: { predictInProduce: false } });
  const result = chosen(endpoints[0]!);
  for (let i = 0; i < 1010; i++) {
    const request = requestOf({}, { targetModel: `m-${i}` });
    await producer.predict(request);
    producer.instance.preRequest(request, result);
    producer.clock.advance(1);
    producer.chunk(request, result, { endOfStream: true });
  }
  const ttft = Object.keys(metrics.series).filter((id) => id.endsWith(",ttft}"));
  expect(ttft).toHaveLength(1001);
  expect(ttft).toContain(
    "llm_d_epp_inference_request_metric{predicted-latency-producer,predicted-latency-producer,other,other,ttft}",
  );
});

test.each([
  [{ sloBufferFactor: 0 }, "sloBufferFactor"],
  [{ contextTTL: "5m" }, "contextTTL"],
  [{ contextTTL: 0.5 }, "contextTTL"],
  [{ unknown: 1 }, "unknown"],
])("parameters %j are refused", (params, message) => {
  expect(() => producerOver([], { params })).toThrow(message);
});

test("a mistake in the environment stops the start", () => {
  vi.stubEnv("LATENCY_MAX_BULK_SIZE", "many");
  try {
    expect(() => producerOver([])).toThrow("LATENCY_MAX_BULK_SIZE must be a number from 1 to 100");
  } finally {
    vi.stubEnv("LATENCY_MAX_BULK_SIZE", undefined);
  }
});
