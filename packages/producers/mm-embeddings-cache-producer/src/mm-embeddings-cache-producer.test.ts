import {
  ENCODER_MATCH,
  type Endpoint,
  hasRole,
  type InferenceRequest,
  type SchedulingResult,
  TOKENIZED_PROMPT,
} from "@pointsman/core";
import {
  type BuildPluginOptions,
  buildEndpoint,
  buildPlugin,
  buildRequest,
  pluginContract,
  producerContract,
} from "@pointsman/testkit";
import fc from "fast-check";
import { expect, test } from "vitest";
import { RecordedSeries } from "../test/recorded-series.ts";
import mmEmbeddingsCacheProducer from "./index.ts";
import { maxItemsPerRequest } from "./request-items.ts";

type Item = string | readonly [modality: string, hash: string];

const featureOf = (item: Item) => {
  const [modality, hash] = typeof item === "string" ? ["image", item] : item;
  return { modality, hash, offsetTokens: 0, lengthTokens: 1 };
};

function requestOf(...prompts: readonly (readonly Item[])[]): InferenceRequest {
  const tokenized = {
    prompts: prompts.map((items) => ({ tokenIds: new Uint32Array(0), features: items.map(featureOf) })),
    totalTokens: 0,
    estimated: true,
  };
  return buildRequest({ attributes: [[TOKENIZED_PROMPT.from(), tokenized]] });
}

function chosen(...targets: readonly Endpoint[]): SchedulingResult {
  const profile = { targets, candidates: targets, totals: new Float64Array(targets.length) };
  const other = { targets: [buildEndpoint(9)], candidates: [], totals: new Float64Array(0) };
  return {
    primaryProfile: "decode",
    profiles: new Map([
      ["prefill", other],
      ["decode", profile],
    ]),
  };
}

function producerOver(endpoints: readonly Endpoint[], options: BuildPluginOptions = {}) {
  const { instance, clock } = buildPlugin(mmEmbeddingsCacheProducer, { endpoints: () => endpoints, ...options });
  if (
    !hasRole(instance, "dataProducer") ||
    !hasRole(instance, "preRequest") ||
    !hasRole(instance, "endpointListener")
  ) {
    throw new Error("a role is missing");
  }
  const key = ENCODER_MATCH.from(options.name);
  return {
    instance,
    clock,
    matchOf: (...items: readonly Item[]) => {
      const request = requestOf(items);
      void instance.produce(request, endpoints);
      return request.attributes.get(key);
    },
    route: (result: SchedulingResult, ...items: readonly Item[]): void => {
      const request = requestOf(items);
      void instance.produce(request, endpoints);
      instance.preRequest(request, result);
    },
  };
}

const pool = (count: number): Endpoint[] => Array.from({ length: count }, (_, slot) => buildEndpoint(slot));

pluginContract(mmEmbeddingsCacheProducer, {
  testFile: import.meta.url,
  endpoints: () => many,
  exercise: ({ instance }) => {
    for (const endpoint of many) {
      const request = requestOf([`shared`, `own-${endpoint.slot}`]);
      void instance.produce?.(request, many);
      instance.preRequest?.(request, chosen(endpoint));
    }
  },
});
const many = pool(300);
producerContract(mmEmbeddingsCacheProducer, {
  request: () =>
    fc
      .array(fc.tuple(fc.constantFrom("image", "tensor"), fc.constantFrom("", "a", "b")), { maxLength: 4 })
      .map((items) => ({
        attributes: [
          [
            TOKENIZED_PROMPT.from(),
            {
              prompts: [{ tokenIds: new Uint32Array(0), features: items.map(featureOf) }],
              totalTokens: 0,
              estimated: true,
            },
          ],
        ],
      })),
});

test("an endpoint that got items matches those that a later request has too", () => {
  const endpoints = [buildEndpoint(3), buildEndpoint(1)];
  const producer = producerOver(endpoints);
  producer.route(chosen(endpoints[0]!), "a", "b");
  expect(producer.matchOf("b", "c", "a", "b", "")).toEqual({
    requestSize: 3,
    matchedSize: Float64Array.of(0, 0, 0, 2),
  });
});

test("items of all prompts count once", () => {
  const endpoints = pool(1);
  const producer = producerOver(endpoints);
  producer.route(chosen(endpoints[0]!), "a");
  const request = requestOf(["a", "b"], ["a"], ["c"]);
  void producer.instance.produce(request, endpoints);
  expect(request.attributes.get(ENCODER_MATCH.from())).toEqual({ requestSize: 3, matchedSize: Float64Array.of(1) });
});

test("a request without items gets no attribute, and nothing is recorded", () => {
  const endpoints = pool(1);
  const producer = producerOver(endpoints);
  for (const request of [buildRequest(), requestOf(), requestOf([]), requestOf([""]), requestOf(["h".repeat(257)])]) {
    void producer.instance.produce(request, endpoints);
    producer.instance.preRequest(request, chosen(endpoints[0]!));
    expect(request.attributes.get(ENCODER_MATCH.from())).toBeUndefined();
  }
  expect(producer.instance.dumpState?.()).toMatchObject({ pods: [] });
});

test("all targets of the primary profile count, those of other profiles do not", () => {
  const endpoints = [...pool(3), buildEndpoint(9)];
  const producer = producerOver(endpoints);
  producer.route(chosen(endpoints[0]!, endpoints[2]!), "a");
  expect([...producer.matchOf("a")!.matchedSize]).toEqual([1, 0, 1, 0, 0, 0, 0, 0, 0, 0]);
});

test("a decision is recorded once, and one that was never made not at all", () => {
  const endpoints = pool(2);
  const producer = producerOver(endpoints);
  const request = requestOf(["a"]);
  void producer.instance.produce(request, endpoints);
  expect([...producer.matchOf("a")!.matchedSize]).toEqual([0, 0]);
  producer.instance.preRequest(request, chosen(endpoints[0]!));
  producer.instance.preRequest(request, chosen(endpoints[1]!));
  expect([...producer.matchOf("a")!.matchedSize]).toEqual([1, 0]);
});

test("requests with one id do not disturb each other", () => {
  const endpoints = pool(2);
  const producer = producerOver(endpoints);
  const [first, second] = [requestOf(["a"]), requestOf(["b"])];
  expect(first.id).toBe(second.id);
  for (const request of [first, second]) void producer.instance.produce(request, endpoints);
  producer.instance.preRequest(first, chosen(endpoints[0]!));
  producer.instance.preRequest(second, chosen(endpoints[1]!));
  expect([...producer.matchOf("a")!.matchedSize]).toEqual([1, 0]);
});

test.each([
  [1, 1],
  [2, 1],
  [7, 3],
])("%i MiB keep %i items", (cacheSizeInMBPerServer, expected) => {
  const endpoints = pool(1);
  const producer = producerOver(endpoints, { params: { cacheSizeInMBPerServer } });
  producer.route(chosen(endpoints[0]!), "a", "b", "c", "d");
  expect(producer.matchOf("a", "b", "c", "d")?.matchedSize[0]).toBe(expected);
});

test.each([undefined, 0, -5])("a size of %j MiB keeps 2,048 items", (cacheSizeInMBPerServer) => {
  const endpoints = pool(1);
  const producer = producerOver(endpoints, { params: { cacheSizeInMBPerServer } });
  const items = Array.from({ length: 2100 }, (_, i) => `item-${i}`);
  producer.route(chosen(endpoints[0]!), ...items);
  expect(producer.matchOf(...items)?.matchedSize[0]).toBe(2048);
});

test("of one request, the first 4,096 items count", () => {
  const endpoints = pool(1);
  const producer = producerOver(endpoints);
  const items = Array.from({ length: 5000 }, (_, i) => `item-${i}`);
  expect(producer.matchOf(...items)?.requestSize).toBe(maxItemsPerRequest);
});

test("an endpoint that is deleted, or comes back, matches nothing", () => {
  const endpoints = pool(1);
  const producer = producerOver(endpoints);
  producer.route(chosen(endpoints[0]!), "a");
  producer.instance.endpointChanged({ type: "addOrUpdate", endpoint: endpoints[0]! });
  expect(producer.matchOf("a")?.matchedSize[0]).toBe(1);
  producer.instance.endpointChanged({ type: "delete", endpoint: endpoints[0]! });
  expect(producer.matchOf("a")?.matchedSize[0]).toBe(0);
});

test("an endpoint that is gone without notice is dropped after two minutes, also when none is left", () => {
  const endpoints = pool(1);
  const producer = producerOver(endpoints);
  producer.route(chosen(endpoints[0]!), "a");
  endpoints.pop();
  producer.clock.advance(119_999);
  expect(producer.instance.dumpState?.()).toMatchObject({ totalPods: 1 });
  producer.clock.advance(1);
  expect(producer.instance.dumpState?.()).toMatchObject({ totalPods: 0 });
});

test("another endpoint in the slot of a holder that is gone matches nothing", () => {
  const endpoints = pool(1);
  const producer = producerOver(endpoints);
  producer.route(chosen(endpoints[0]!), "a");
  endpoints[0] = buildEndpoint(0, { name: "other" });
  expect(producer.matchOf("a")?.matchedSize[0]).toBe(0);
});

test("metrics count look-ups, hits by endpoint and ratios; series end with their endpoint", () => {
  const endpoints = pool(2);
  const metrics = new RecordedSeries();
  const producer = producerOver(endpoints, { metrics, name: "mm" });
  const type = "mm-embeddings-cache-producer";
  producer.route(chosen(endpoints[0]!), "a", ["audio", "b"]);
  producer.matchOf("a", ["audio", "b"], ["tensor", "c"], ["video", "d"]);
  const hits = {
    [`llm_d_epp_encoder_cache_hits_total{${type},mm,default/server-0,image}`]: 1,
    [`llm_d_epp_encoder_cache_hits_total{${type},mm,default/server-0,audio}`]: 1,
  };
  const rest = {
    [`llm_d_epp_encoder_cache_queries_total{${type},mm,image}`]: 2,
    [`llm_d_epp_encoder_cache_queries_total{${type},mm,audio}`]: 2,
    [`llm_d_epp_encoder_cache_queries_total{${type},mm,other}`]: 1,
    [`llm_d_epp_encoder_cache_queries_total{${type},mm,video}`]: 1,
    [`llm_d_epp_encoder_cache_hit_ratio{${type},mm}`]: [0, 0, 0.5, 0],
  };
  expect(metrics.series).toEqual({ ...hits, ...rest });
  producer.instance.endpointChanged({ type: "delete", endpoint: endpoints[0]! });
  expect(metrics.series).toEqual(rest);
});

test("series of endpoints that are gone without notice end within two minutes", () => {
  const endpoints = pool(1);
  const metrics = new RecordedSeries();
  const producer = producerOver(endpoints, { metrics });
  producer.route(chosen(endpoints[0]!), "a");
  producer.matchOf("a");
  const hitSeries = () => Object.keys(metrics.series).filter((id) => id.includes("hits_total"));
  expect(hitSeries()).toHaveLength(1);
  endpoints.pop();
  producer.clock.advance(120_000);
  expect(hitSeries()).toEqual([]);
});

test("a size above 1 TiB is refused", () => {
  expect(() => producerOver([], { params: { cacheSizeInMBPerServer: 1_048_577 } })).toThrow("cacheSizeInMBPerServer");
  expect(() => producerOver([], { params: { cacheSizeInMB: 10 } })).toThrow();
});
