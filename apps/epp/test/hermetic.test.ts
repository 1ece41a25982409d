/**
 * The hermetic cases of the Go picker's integration suite, on the real configuration, plugins and request path.
 * Source: spec ext-proc section 11.
 */
import {
  ACTIVE_MODELS,
  type AttributeKey,
  createTimers,
  DecisionLog,
  Exchange,
  type ExchangeSink,
  Headers,
  type ImmediateReply,
  KV_CACHE_USAGE,
  MAX_ACTIVE_MODELS,
  type MetadataObject,
  type MetricsRegistry,
  noMetrics,
  type RoutedRequest,
  RUNNING_REQUESTS_SIZE,
  silentLogger,
  systemClock,
  WAITING_MODELS,
  WAITING_QUEUE_SIZE,
  writeAttribute,
} from "@pointsman/core";
import { Datastore } from "@pointsman/datastore";
import { createPrometheusMetrics } from "@pointsman/telemetry";
import { afterEach, expect, test } from "vitest";
import { createRouter } from "../src/process/create-router.ts";
import { loadGraph } from "../src/process/load-graph.ts";

const defaultParsers = `
plugins:
  - {type: queue-scorer}
  - {type: kv-cache-utilization-scorer}
  - {type: prefix-cache-scorer}
  - {type: lora-affinity-scorer}
schedulingProfiles:
  - name: default
    plugins: [{pluginRef: queue-scorer}, {pluginRef: kv-cache-utilization-scorer}, {pluginRef: prefix-cache-scorer}, {pluginRef: lora-affinity-scorer}]
`;
const onlyParser = (type: string): string => `${defaultParsers}requestHandler: {parsers: [{pluginRef: ${type}}]}\n`;
const config = onlyParser("openai-parser");

interface Pod {
  readonly queue: number;
  readonly kv: number;
  readonly models?: readonly string[];
}

const disposals: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const dispose of disposals.splice(0)) await dispose();
});

async function picker(
  pods: readonly Pod[],
  options: { readonly config?: string; readonly metrics?: MetricsRegistry } = {},
) {
  const metrics = options.metrics ?? noMetrics;
  const datastore = new Datastore({
    pool: { name: "vllm-qwen3-32b-pool", namespace: "default", appProtocol: undefined },
    logger: silentLogger,
  });
  pods.forEach(({ queue, kv, models }, i) => {
    const id = `default/pod-${i}-rank-0`;
    const address = `192.168.1.${i + 1}`;
    datastore.upsert({
      ...{ id, namespace: "default", name: `pod-${i}`, address, port: 8000 },
      ...{ metricsHost: `${address}:8000`, labels: {}, rankIndex: 0 },
    });
    const endpoint = datastore.get(id)!;
    const signals: [AttributeKey<unknown>, unknown][] = [
      [WAITING_QUEUE_SIZE, queue],
      [RUNNING_REQUESTS_SIZE, 0],
      [KV_CACHE_USAGE, kv],
      [ACTIVE_MODELS, new Set(models ?? [])],
      [WAITING_MODELS, new Set<string>()],
      [MAX_ACTIVE_MODELS, 4],
    ];
    for (const [key, value] of signals) writeAttribute(endpoint, key, value, systemClock.now());
  });
  const loaded = await loadGraph(
    { configFile: "", configText: options.config ?? config, endpointsFile: "" },
    { allowExperimental: true, stalenessMs: 60_000, logger: silentLogger, metrics, datastore },
  );
  if ("unreadable" in loaded || loaded.graph === undefined) throw new Error(JSON.stringify(loaded, null, 2));
  const { graph } = loaded;
  disposals.push(() => graph.dispose());
  return createRouter(graph, {
    endpoints: () => datastore.snapshot(),
    decisions: new DecisionLog(8, systemClock),
    clock: systemClock,
    timers: createTimers("test", silentLogger),
    logger: silentLogger,
    metrics,
    random: Math.random,
    maxRequestBodyBytes: 1024 * 1024,
    emitScores: true,
    ignoreSubsetHint: false,
    recordedSignals: [],
  });
}

class Recorded implements ExchangeSink {
  request: RoutedRequest | undefined;
  immediate: ImmediateReply | undefined;
  routed(request: RoutedRequest): void {
    this.request = request;
  }
  reply(reply: ImmediateReply): void {
    this.immediate = reply;
  }
  requestTrailers(): void {}
  responseHeaders(): void {}
  responseBody(): void {}
  responseTrailers(): void {}
}

const llm = (prompt: string, model: string): string =>
  `{"max_tokens":100,"model":${JSON.stringify(model)},"prompt":${JSON.stringify(prompt)},"temperature":0}`;

async function send(
  pods: readonly Pod[],
  chunks: readonly string[],
  options: {
    readonly rewrite?: string;
    readonly path?: string;
    readonly metadata?: MetadataObject;
    readonly config?: string;
    readonly metrics?: MetricsRegistry;
  } = {},
): Promise<Recorded> {
  const sink = new Recorded();
  const exchange = new Exchange(await picker(pods, options), sink);
  const headers = Headers.from([
    ["hi", "mom"],
    ["x-request-id", "test-request-id"],
    ...(options.path === undefined ? [] : ([[":path", options.path]] as [string, string][])),
    ...(options.rewrite === undefined ? [] : ([["x-llm-d-model-name-rewrite", options.rewrite]] as [string, string][])),
  ]);
  exchange.requestHeaders(headers, false, options.metadata ?? {});
  chunks.forEach((chunk, i) => {
    exchange.requestBody(Buffer.from(chunk), i === chunks.length - 1, options.metadata ?? {});
  });
  await new Promise((resolve) => setImmediate(resolve));
  exchange.close("client-disconnect");
  return sink;
}

const bodyOf = (sink: Recorded): string => Buffer.concat(sink.request?.body ?? []).toString();

test("a short queue and an empty cache win", async () => {
  const sink = await send(
    [
      { queue: 3, kv: 0.2 },
      { queue: 0, kv: 0.1 },
      { queue: 10, kv: 0.2 },
    ],
    [llm("test1", "my-model")],
    {
      rewrite: "my-model-12345",
    },
  );
  expect(sink.request?.destination).toBe("192.168.1.2:8000");
  expect(bodyOf(sink)).toBe(llm("test1", "my-model-12345"));
  expect(Object.fromEntries(sink.request!.headers.set)).toEqual({
    "x-gateway-destination-endpoint": "192.168.1.2:8000",
    "Content-Length": String(bodyOf(sink).length),
  });
  expect(Object.keys(sink.request!.scores!).sort()).toEqual([
    "192.168.1.1:8000",
    "192.168.1.2:8000",
    "192.168.1.3:8000",
  ]);
});

test("an active LoRA adapter wins", async () => {
  const pods = [
    { queue: 0, kv: 0.2 },
    { queue: 0, kv: 0.1, models: ["sql-lora-1fdg2"] },
    { queue: 10, kv: 0.2 },
  ];
  expect((await send(pods, [llm("test2", "sql-lora-1fdg2")])).request?.destination).toBe("192.168.1.2:8000");
});

test("an active LoRA adapter outweighs cache use", async () => {
  const pods = [
    { queue: 10, kv: 0.2 },
    { queue: 10, kv: 0.3, models: ["sql-lora-1fdg2"] },
    { queue: 10, kv: 0.4 },
  ];
  expect((await send(pods, [llm("test3", "sql-lora-1fdg2")])).request?.destination).toBe("192.168.1.2:8000");
});

test("nothing is shed by default, however loaded the pool", async () => {
  const pods = [
    { queue: 6, kv: 0.2, models: ["sql-lora"] },
    { queue: 1, kv: 0.85 },
    { queue: 10, kv: 0.9 },
  ];
  expect((await send(pods, [llm("test4", "sql-lora")])).request?.destination).toBe("192.168.1.1:8000");
});

test("a body in two chunks is joined, and its model rewritten in place", async () => {
  const whole = llm("test5", "sql-lora-sheddable");
  const sink = await send(
    [
      { queue: 4, kv: 0.2 },
      { queue: 4, kv: 0.85 },
    ],
    [whole.slice(0, 20), whole.slice(20)],
    {
      rewrite: "sql-lora-1fdg3",
    },
  );
  expect(sink.request?.destination).toBe("192.168.1.1:8000");
  expect(bodyOf(sink)).toBe(llm("test5", "sql-lora-1fdg3"));
});

test("a rewrite to the same name leaves the bytes alone", async () => {
  const text = '{ "prompt":"x" ,"model" : "direct-model","big":12345678901234567890 }';
  expect(bodyOf(await send([{ queue: 0, kv: 0 }], [text], { rewrite: "direct-model" }))).toBe(text);
});

test.each([
  ["model not found in request body", '{"prompt":"hello world"}'],
  ["error unmarshaling request bodyMap: invalid character 'o' in literal null (expecting 'u')", "no healthy upstream"],
  ["invalid completions request: must have prompt field", '{"model":"m"}'],
])("%s", async (message, body) => {
  const { immediate, request } = await send([], [body]);
  expect(request).toBeUndefined();
  expect(immediate).toEqual({ status: 400, body: `inference error: BadRequest - ${message}`, headers: [] });
});

const hint = (entries: readonly string[]): MetadataObject => ({
  "envoy.lb.subset_hint": { "x-gateway-destination-endpoint-subset": entries },
});
const loaded = [
  { queue: 0, kv: 0.2 },
  { queue: 0, kv: 0.1 },
  { queue: 10, kv: 0.2 },
];

test.each([
  [["192.168.1.1:8000", "192.168.1.2:8000", "192.168.1.3:8000"], "192.168.1.2:8000"],
  [["192.168.1.3:8000"], "192.168.1.3:8000"],
])("the subset %j leaves %s", async (entries, destination) => {
  expect((await send(loaded, [llm("subset", "my-model")], { metadata: hint(entries) })).request?.destination).toBe(
    destination,
  );
});

test("a subset that matches nothing is a 503 with its reason", async () => {
  const { immediate } = await send(loaded, [llm("subset", "my-model")], { metadata: hint(["192.168.1.99:8000"]) });
  expect(immediate).toEqual({
    status: 503,
    body: "inference error: ServiceUnavailable - failed to find endpoint candidates for serving the request",
    headers: [["x-llm-d-request-dropped-reason", "rejected-no-endpoints"]],
  });
});

test("the endpoint that served a prefix gets the next request with it", async () => {
  const router = await picker([
    { queue: 0, kv: 0.1 },
    { queue: 0, kv: 0.1 },
    { queue: 0, kv: 0.1 },
  ]);
  const destinations = new Set<string | undefined>();
  for (let i = 0; i < 10; i++) {
    const sink = new Recorded();
    const exchange = new Exchange(router, sink);
    exchange.requestHeaders(Headers.from([[":path", "/v1/completions"]]), false, {});
    exchange.requestBody(Buffer.from(llm(`${"shared text ".repeat(200)}${i}`, "m")), true, {});
    await new Promise((resolve) => setImmediate(resolve));
    destinations.add(sink.request?.destination);
    exchange.close("client-disconnect");
  }
  expect(destinations.size).toBe(1);
});

const busyAndIdle = [
  { queue: 10, kv: 0.9 },
  { queue: 0, kv: 0.1 },
];

test.each([
  ["named in the list", "/v1/completions", onlyParser("passthrough-parser")],
  ["last of the default list", "/v1/nothing", defaultParsers],
])("passthrough-parser, %s: the body goes as it came to the endpoint that scores best", async (_how, path, parsers) => {
  const metrics = createPrometheusMetrics({ processMetrics: false });
  const sink = await send(busyAndIdle, ["passthrough-", "parser"], { path, config: parsers, metrics });
  expect(sink.immediate).toBeUndefined();
  expect(bodyOf(sink)).toBe("passthrough-parser");
  expect(Object.fromEntries(sink.request!.headers.set)).toEqual({
    "x-gateway-destination-endpoint": "192.168.1.2:8000",
    "Content-Length": "18",
  });
  expect(await metrics.page()).toContain(
    'llm_d_epp_request_total{model_name="",target_model_name="",fairness_id="default-flow",priority="0"} 1',
  );
});

test("passthrough-parser: a rewrite header names the target and leaves the body alone", async () => {
  const metrics = createPrometheusMetrics({ processMetrics: false });
  const sink = await send(busyAndIdle, ['{"model":"m"}'], {
    ...{ rewrite: "other", config: onlyParser("passthrough-parser"), metrics },
  });
  expect(bodyOf(sink)).toBe('{"model":"m"}');
  expect(await metrics.page()).toContain('llm_d_epp_request_total{model_name="",target_model_name="other",');
});

test("passthrough-parser: a body without a byte is routed without a length", async () => {
  const sink = await send(busyAndIdle, [""], { path: "/v1/nothing", config: defaultParsers });
  expect(Object.fromEntries(sink.request!.headers.set)).toEqual({
    "x-gateway-destination-endpoint": "192.168.1.2:8000",
  });
});

test("with a list of parsers, an unknown path is refused", async () => {
  const { immediate } = await send(busyAndIdle, ["{}"], { path: "/v1/nothing?a=b" });
  expect(immediate).toEqual({
    status: 400,
    body: "inference error: BadRequest - no parser registered matching path suffix for: /v1/nothing",
    headers: [],
  });
});

test.each([
  ["/v1/messages", '{"model":"a","messages":[{"role":"user","content":"hi"}]}'],
  ["/inference/v1/generate", '{"model":"a","token_ids":[1,2,3]}'],
  ["/v1/chat/completions", '{"model":"a","messages":[{"role":"user","content":"hi"}]}'],
])(
  "the default list reads %s: its model is rewritten, and a body without what it needs refused",
  async (path, body) => {
    const sink = await send(busyAndIdle, [body], { path, rewrite: "b", config: defaultParsers });
    expect(bodyOf(sink)).toBe(body.replace('"a"', '"b"'));
    const { immediate } = await send(busyAndIdle, ['{"model":"a"}'], { path, config: defaultParsers });
    expect(immediate?.status).toBe(400);
  },
);

test("the default list lets a body to count tokens of pass unread and asks for no answer", async () => {
  const sink = await send(busyAndIdle, ["not json"], { path: "/v1/messages/count_tokens", config: defaultParsers });
  expect(bodyOf(sink)).toBe("not json");
  expect(sink.request?.skipResponse).toBe(true);
});
