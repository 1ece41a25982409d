import {
  CACHE_BLOCK_SIZE,
  CACHE_NUM_BLOCKS,
  type Endpoint,
  hasRole,
  type InferenceRequest,
  KV_CACHE_USAGE,
  PREFIX_MATCH,
  type ResponseBodyEvent,
  RUNNING_REQUESTS_SIZE,
  type SchedulingResult,
  TOKENIZED_PROMPT,
  WAITING_QUEUE_SIZE,
} from "@pointsman/core";
import { buildEndpoint, buildPlugin, buildRequest, seededRandom } from "@pointsman/testkit";
import expectedLatencyProducer from "../../../packages/producers/expected-latency-producer/src/index.ts";
import expectedLatencyScorer from "../../../packages/scorers/expected-latency-scorer/src/index.ts";
import type { BenchCase, BenchRun, Row } from "../bench-case.ts";
import { figure } from "../figure.ts";
import { timeInTurn } from "../time-in-turn.ts";

/** Requests on each endpoint, half of them waiting for their first token. */
const requestsPerEndpoint = 8;
/** Requests that others have on each endpoint, so that the part for several pickers is in it. */
const foreignRequests = 2;
const promptTokens = 8000;

/** What expected-latency routing adds to one request, by the size of the pool. */
export const expectedLatencyCases: readonly BenchCase[] = [10, 100, 1000].map((endpoints) => ({
  name: `expected-latency/${endpoints}`,
  about: `CPU in this process, warm, of expected-latency-producer and expected-latency-scorer for as many endpoints, each with ${requestsPerEndpoint} requests of this picker, half of them without a first token, and ${foreignRequests} of others; half of the endpoints hold a part of the prompt of ${promptTokens} tokens. A decision is costs and scores of all candidates. A request is a decision, its record, and first token and end of another request. In turn with it, a loop by hand that reads the same signals and the same match and adds them up.`,
  run: (bench: BenchRun) => run(bench, endpoints),
}));

async function run(bench: BenchRun, count: number): Promise<readonly Row[]> {
  const name = `expected-latency/${count}`;
  bench.progress(name);
  const random = seededRandom(2026);
  const endpoints = Array.from({ length: count }, (_, slot) => buildEndpoint(slot));
  const producer = buildPlugin(expectedLatencyProducer, { endpoints: () => endpoints, stalenessMs: 1e12 });
  const scorer = buildPlugin(expectedLatencyScorer, { endpoints: () => endpoints });
  const { instance, clock } = producer;
  if (
    !hasRole(instance, "dataProducer") ||
    !hasRole(instance, "preRequest") ||
    !hasRole(instance, "responseBodyProcessor") ||
    !hasRole(scorer.instance, "scorer")
  ) {
    throw new Error("a role is missing");
  }
  const scores = scorer.instance;
  const signals = [
    [WAITING_QUEUE_SIZE, foreignRequests],
    [RUNNING_REQUESTS_SIZE, requestsPerEndpoint],
    [KV_CACHE_USAGE, 0.9],
    [CACHE_NUM_BLOCKS, 25_000],
    [CACHE_BLOCK_SIZE, 16],
  ] as const;
  for (const endpoint of endpoints) {
    for (const [key, value] of signals) {
      while (endpoint.values.length <= key.index) {
        endpoint.values.push(undefined);
        endpoint.writtenAtMs.push(Number.NEGATIVE_INFINITY);
      }
      endpoint.values[key.index] = value;
      endpoint.writtenAtMs[key.index] = clock.now();
    }
  }

  const tokenIds = Uint32Array.from({ length: promptTokens }, () => Math.floor(random() * 0x1_0000_0000));
  const matchedBlocks = Int32Array.from({ length: count }, () => (random() < 0.5 ? 0 : Math.floor(random() * 100)));
  const match = { totalBlocks: promptTokens / 64, blockSizeTokens: 64, matchedBlocks, cachedBlocks: matchedBlocks };
  const newRequest = (): InferenceRequest =>
    buildRequest({
      body: { stream: true },
      attributes: [
        [
          TOKENIZED_PROMPT.from(),
          { prompts: [{ tokenIds, features: [] }], totalTokens: promptTokens, estimated: true },
        ],
        [PREFIX_MATCH.from(), match],
      ],
    });
  const results = endpoints.map(chosen);
  const out = new Float64Array(count);
  const decide = (request: InferenceRequest): void => {
    void instance.produce(request, endpoints);
    scores.score(request, endpoints, out);
  };
  const answer = (request: InferenceRequest, slot: number, event: Partial<ResponseBodyEvent>): void =>
    instance.responseBody(request, results[slot]!, { ...emptyEvent, ...event });

  /** Oldest first: those from `decoding` on have no first token yet. */
  const flights: { readonly request: InferenceRequest; readonly slot: number }[] = [];
  const send = (request: InferenceRequest, slot: number): void => {
    instance.preRequest(request, results[slot]!);
    flights.push({ request, slot });
  };
  for (let i = 0; i < count * requestsPerEndpoint; i++) {
    const request = newRequest();
    if (i < count) void instance.produce(request, endpoints.slice(i, i + 1));
    send(request, i % count);
  }
  const decoding = flights.length / 2;
  for (const { request, slot } of flights.slice(0, decoding)) {
    clock.advance(1);
    answer(request, slot, { startOfStream: true });
  }
  decide(newRequest());
  if (!out.every((score) => score > 0 && score <= 1)) throw new Error("a candidate has no score");

  const prepared = Array.from({ length: 64 }, newRequest);
  const decision = (call: number): void => decide(prepared[call % prepared.length]!);
  let next = 0;
  const wholeRequest = (): void => {
    clock.advance(0.1);
    const request = newRequest();
    decide(request);
    const slot = next++ % count;
    send(request, slot);
    const first = flights[decoding]!;
    answer(first.request, first.slot, { startOfStream: true });
    const last = flights.shift()!;
    answer(last.request, last.slot, { endOfStream: true, terminationCause: "natural", streamedEvents: 200 });
  };
  let sink = 0;
  const reading = (): void => {
    for (const { values, slot } of endpoints) {
      let sum = match.matchedBlocks[slot]! * match.blockSizeTokens;
      for (const [key] of signals) sum += Number(values[key.index]);
      sink += sum;
    }
  };
  const timing = bench.quick
    ? { warmMs: 300, batchMs: 20, batchesPerRound: 8, rounds: 2 }
    : { warmMs: 2000, batchMs: 25, batchesPerRound: 20, rounds: 3 };
  const [decisions, requests, plain] = timeInTurn([decision, wholeRequest, reading], timing);
  if (!Number.isFinite(sink)) throw new Error("a signal is missing");
  const reference = { what: "reading the signals", values: plain! };
  return [
    figure({ case: name, quantity: "CPU us/decision", pointsman: decisions!, reference }),
    figure({ case: name, quantity: "CPU us/request", pointsman: requests!, reference }),
  ];
}

const emptyEvent: ResponseBodyEvent = {
  startOfStream: false,
  endOfStream: false,
  chunkBytes: 100,
  usage: undefined,
  streamedEvents: 1,
  terminationCause: undefined,
  setDynamicMetadata: () => {},
};

function chosen(endpoint: Endpoint): SchedulingResult {
  const profile = { targets: [endpoint], candidates: [endpoint], totals: Float64Array.of(1) };
  return { primaryProfile: "default", profiles: new Map([["default", profile]]) };
}
