/**
 * The gRPC cases of the Go picker's integration suite, on the real configuration, plugins and request path.
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
import { afterEach, describe, expect, test } from "vitest";
import { createRouter } from "../src/process/create-router.ts";
import { loadGraph } from "../src/process/load-graph.ts";

const configOf = (parser: string): string => `
plugins:
  - {type: queue-scorer}
  - {type: kv-cache-utilization-scorer}
  - {type: prefix-cache-scorer}
  - {type: lora-affinity-scorer}
  - {type: ${parser}}
requestHandler: {parsers: [{pluginRef: ${parser}}]}
schedulingProfiles:
  - name: default
    plugins: [{pluginRef: queue-scorer}, {pluginRef: kv-cache-utilization-scorer}, {pluginRef: prefix-cache-scorer}, {pluginRef: lora-affinity-scorer}]
`;

const generate = "/vllm.grpc.engine.VllmEngine/Generate";
const embed = "/vllm.grpc.engine.VllmEngine/Embed";
const objective = "inference-objective-with-priority-4";

interface Pod {
  readonly queue: number;
  readonly kv: number;
  readonly models?: readonly string[];
}

const disposals: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const dispose of disposals.splice(0)) await dispose();
});

type Call =
  | { readonly call: "responseHeaders"; readonly set: Readonly<Record<string, string>> }
  | { readonly call: "responseBody"; readonly bytes: string; readonly endOfStream: boolean }
  | { readonly call: "responseTrailers" };

/** An exchange with a picker of its own, and all that it told its data plane. */
class Case implements ExchangeSink {
  routedTo: RoutedRequest | undefined;
  immediate: ImmediateReply | undefined;
  readonly answer: Call[] = [];
  readonly #exchange: Exchange;
  readonly #metrics: ReturnType<typeof createPrometheusMetrics>;

  constructor(router: ReturnType<typeof createRouter>, metrics: ReturnType<typeof createPrometheusMetrics>) {
    this.#exchange = new Exchange(router, this);
    this.#metrics = metrics;
  }

  static async open(pods: readonly Pod[], parser: string = "vllmgrpc-parser"): Promise<Case> {
    const metrics = createPrometheusMetrics({ processMetrics: false });
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
      const signals: [AttributeKey<unknown>, unknown][] = [
        [WAITING_QUEUE_SIZE, queue],
        [RUNNING_REQUESTS_SIZE, 0],
        [KV_CACHE_USAGE, kv],
        [ACTIVE_MODELS, new Set(models ?? [])],
        [WAITING_MODELS, new Set<string>()],
        [MAX_ACTIVE_MODELS, 4],
      ];
      for (const [key, value] of signals) writeAttribute(datastore.get(id)!, key, value, systemClock.now());
    });
    const loaded = await loadGraph(
      { configFile: "", configText: configOf(parser), endpointsFile: "" },
      { allowExperimental: true, stalenessMs: 60_000, logger: silentLogger, metrics, datastore },
    );
    if ("unreadable" in loaded || loaded.graph === undefined) throw new Error(JSON.stringify(loaded, null, 2));
    const { graph } = loaded;
    disposals.push(() => graph.dispose());
    const router = createRouter(graph, {
      endpoints: () => datastore.snapshot(),
      decisions: new DecisionLog(8, systemClock),
      clock: systemClock,
      timers: createTimers("test", silentLogger),
      logger: silentLogger,
      metrics,
      random: Math.random,
      maxRequestBodyBytes: 1024 * 1024,
      emitScores: false,
      ignoreSubsetHint: false,
      recordedSignals: [],
      objectives: { priorityOf: (name) => (name === objective ? 4 : undefined) },
    });
    return new Case(router, metrics);
  }

  async request(
    pieces: readonly Uint8Array[],
    options: { readonly path?: string; readonly objective?: string; readonly metadata?: MetadataObject } = {},
  ): Promise<this> {
    const { path = generate, objective: wanted, metadata = {} } = options;
    const named: [string, string][] = wanted === undefined ? [] : [["x-llm-d-inference-objective", wanted]];
    const headers = Headers.from([["hi", "mom"], ["x-request-id", "test-request-id"], [":path", path], ...named]);
    this.#exchange.requestHeaders(headers, false, metadata);
    pieces.forEach((piece, i) => {
      this.#exchange.requestBody(piece, i === pieces.length - 1, metadata);
    });
    await new Promise((resolve) => setImmediate(resolve));
    return this;
  }

  bodyless(): this {
    this.#exchange.requestHeaders(Headers.from([["content-type", "application/json"]]), true, {});
    return this;
  }

  response(pieces: readonly Uint8Array[], end: "trailers" | "open" = "trailers"): this {
    this.#exchange.responseHeaders(Headers.from([["content-type", "application/grpc"]]), false, {});
    for (const piece of pieces) this.#exchange.responseBody(piece, false);
    if (end === "trailers") this.#exchange.responseTrailers();
    return this;
  }

  close(): this {
    this.#exchange.close("client-disconnect");
    return this;
  }

  /** The request's bytes on their way to the model server. */
  get sent(): Buffer {
    return Buffer.concat(this.routedTo?.body ?? []);
  }

  /** Lines of the metrics page that start with this name. */
  async metric(name: string): Promise<readonly string[]> {
    const page = await this.#metrics.page();
    return page.split("\n").filter((line) => line.startsWith(`${name}{`));
  }

  routed(request: RoutedRequest): void {
    this.routedTo = request;
  }
  reply(reply: ImmediateReply): void {
    this.immediate = reply;
  }
  requestTrailers(): void {}
  responseHeaders(headers: { readonly set: readonly (readonly [string, string])[] }): void {
    this.answer.push({ call: "responseHeaders", set: Object.fromEntries(headers.set) });
  }
  responseBody(bytes: Uint8Array, endOfStream: boolean): void {
    this.answer.push({ call: "responseBody", bytes: Buffer.from(bytes).toString("hex"), endOfStream });
  }
  responseTrailers(): void {
    this.answer.push({ call: "responseTrailers" });
  }
}

/** Protobuf, from its specification; every number here takes one byte. */
const number = (field: number, value: number): Buffer => Buffer.from([field * 8, value]);
const bytes = (field: number, value: Uint8Array | string): Buffer =>
  Buffer.concat([Buffer.from([field * 8 + 2, value.length]), Buffer.from(value)]);

function frame(...fields: readonly Uint8Array[]): Buffer {
  const message = Buffer.concat(fields);
  const header = Buffer.alloc(5);
  header.writeUInt32BE(message.length, 1);
  return Buffer.concat([header, message]);
}

const generateRequest = (text: string, stream = false): Buffer =>
  frame(bytes(1, "request-1"), bytes(3, text), ...(stream ? [number(5, 1)] : []));
const embedRequest = frame(bytes(1, "request-1"), bytes(2, bytes(2, Buffer.from([1, 2, 3]))));
const chunkFrame = frame(bytes(1, bytes(1, Buffer.from([1, 2, 3]))));
const completeFrame = frame(bytes(2, Buffer.concat([number(3, 7), number(4, 10)])));

const halves = (whole: Buffer): readonly Buffer[] => {
  const middle = Math.floor(whole.length / 2);
  return [whole.subarray(0, middle), whole.subarray(middle)];
};

const pods: readonly Pod[] = [
  { queue: 3, kv: 0.2 },
  { queue: 0, kv: 0.1 },
  { queue: 10, kv: 0.2 },
];

const wentInto: Call = { call: "responseHeaders", set: { "x-went-into-resp-headers": "true" } };
const whole = (body: Buffer): Call => ({ call: "responseBody", bytes: body.toString("hex"), endOfStream: false });
const trailers: Call = { call: "responseTrailers" };

describe("requests", () => {
  test.each([
    ["Generate", generate, generateRequest("test1")],
    ["Embed", embed, embedRequest],
    ["Generate with stream", generate, generateRequest("test-stream", true)],
  ])("%s goes to the short queue and empty cache with the bytes it came with", async (_, path, body) => {
    const it = await (await Case.open(pods)).request([body], { path, objective });
    expect(it.routedTo?.destination).toBe("192.168.1.2:8000");
    expect(it.sent).toEqual(body);
    expect(Object.fromEntries(it.routedTo!.headers.set)).toEqual({
      "x-gateway-destination-endpoint": "192.168.1.2:8000",
      "Content-Length": String(body.length),
    });
    expect(it.routedTo?.skipResponse).toBe(false);
    const totals = await it.close().metric("llm_d_epp_request_total");
    expect(totals.length).toBe(1);
    expect(totals[0]).toMatch(/model_name="",target_model_name="".*priority="4".*\} 1$/);
  });

  test("without an objective have priority 0 and are not shed", async () => {
    const busy = [
      { queue: 6, kv: 0.2, models: ["foo", "bar"] },
      { queue: 0, kv: 0.85, models: ["foo"] },
      { queue: 10, kv: 0.9, models: ["foo"] },
    ];
    const it = await (await Case.open(busy)).request([generateRequest("test2")]);
    expect(it.routedTo?.destination).toBe("192.168.1.1:8000");
    expect((await it.close().metric("llm_d_epp_request_total"))[0]).toMatch(/priority="0".*\} 1$/);
  });

  test("in two pieces are joined", async () => {
    const body = generateRequest("test3");
    const two = [
      { queue: 4, kv: 0.2, models: ["foo", "bar"] },
      { queue: 4, kv: 0.85, models: ["foo"] },
    ];
    const it = await (await Case.open(two)).request(halves(body));
    expect(it.routedTo?.destination).toBe("192.168.1.1:8000");
    expect(it.sent).toEqual(body);
    it.close();
  });

  test("without a body and without pods end with 503", async () => {
    const it = (await Case.open([])).bodyless().close();
    expect(it.immediate).toMatchObject({
      status: 503,
      headers: [["x-llm-d-request-dropped-reason", "rejected-no-endpoints"]],
    });
  });

  const hint = (entries: readonly string[]): MetadataObject => ({
    "envoy.lb.subset_hint": { "x-gateway-destination-endpoint-subset": entries },
  });
  const subsetPods = [
    { queue: 0, kv: 0.2, models: ["foo"] },
    { queue: 0, kv: 0.1, models: ["foo", "sql-lora-1fdg2"] },
    { queue: 10, kv: 0.2, models: ["foo"] },
  ];

  test.each([
    [["192.168.1.1:8000", "192.168.1.2:8000", "192.168.1.3:8000"], "192.168.1.2:8000"],
    [["192.168.1.3:8000"], "192.168.1.3:8000"],
  ])("with the subset %j go to %s", async (entries, destination) => {
    const it = await (await Case.open(subsetPods)).request([generateRequest("test2")], { metadata: hint(entries) });
    expect(it.close().routedTo?.destination).toBe(destination);
  });

  test("with a subset that matches nothing end with 503 and its reason", async () => {
    const metadata = hint(["192.168.1.99:8000"]);
    const it = await (await Case.open(subsetPods)).request([generateRequest("test2")], { metadata });
    expect(it.close().immediate).toEqual({
      status: 503,
      body: "inference error: ServiceUnavailable - failed to find endpoint candidates for serving the request",
      headers: [["x-llm-d-request-dropped-reason", "rejected-no-endpoints"]],
    });
  });

  test.each([
    ["a compressed message", Buffer.concat([Buffer.from([1]), generateRequest("x").subarray(1)])],
    ["a cut message", generateRequest("x").subarray(0, -1)],
    ["text", Buffer.from("no healthy upstream")],
  ])("of %s end with 400", async (_, body) => {
    const it = await (await Case.open(pods)).request([body]);
    expect(it.close().immediate).toEqual({
      status: 400,
      body: "inference error: BadRequest - invalid or unsupported gRPC payload",
      headers: [],
    });
  });

  test("of another service end with 400", async () => {
    const it = await (await Case.open(pods)).request([generateRequest("x")], { path: "/other.Engine/Generate" });
    expect(it.close().immediate?.body).toBe(
      "inference error: BadRequest - no parser registered matching path suffix for: /other.Engine/Generate",
    );
  });
});

describe("answers", () => {
  const onePod: readonly Pod[] = [{ queue: 4, kv: 0.2 }];
  const asked = async (stream = false): Promise<Case> =>
    (await Case.open(onePod)).request([generateRequest("test", stream)], { objective });

  test("without a request pass in one piece", async () => {
    const it = (await Case.open(onePod)).response(halves(completeFrame)).close();
    expect(it.answer).toEqual([wentInto, whole(completeFrame), trailers]);
  });

  test("that are no stream come in one piece, then their trailers", async () => {
    const frames = frame(bytes(1, bytes(1, Buffer.from([1, 2, 3, 4, 5, 6, 7]))));
    const it = (await asked()).response(halves(frames)).close();
    expect(it.answer).toEqual([wentInto, whole(frames), trailers]);
  });

  test("that are no gRPC pass as they are", async () => {
    const text = Buffer.from("no healthy upstream");
    const it = (await asked()).response([text]).close();
    expect(it.answer).toEqual([wentInto, whole(text), trailers]);
    expect(await it.metric("llm_d_epp_request_input_tokens_count")).toEqual([]);
  });

  test("tell the prompt's tokens", async () => {
    const it = (await asked()).response(halves(completeFrame)).close();
    expect(it.answer).toEqual([wentInto, whole(completeFrame), trailers]);
    const sums = await it.metric("llm_d_epp_request_input_tokens_sum");
    expect(sums.length).toBe(1);
    expect(sums[0]).toMatch(/model_name="",target_model_name="".*\} 7$/);
    expect((await it.metric("llm_d_epp_request_input_tokens_count"))[0]).toMatch(/\} 1$/);
  });

  test("that are a stream pass at once, message by message", async () => {
    const it = await asked(true);
    it.response([chunkFrame], "open");
    expect(it.answer).toEqual([wentInto, whole(chunkFrame)]);
    it.close();
  });

  test("that are a stream tell the tokens of both sides", async () => {
    const it = await asked(true);
    it.response([chunkFrame, completeFrame]).close();
    expect(it.answer).toEqual([wentInto, whole(chunkFrame), whole(completeFrame), trailers]);
    expect((await it.metric("llm_d_epp_request_input_tokens_sum"))[0]).toMatch(/priority="4".*\} 7$/);
    expect((await it.metric("llm_d_epp_request_output_tokens_sum"))[0]).toMatch(/priority="4".*\} 10$/);
  });

  test("whose messages come together or cut tell the same", async () => {
    const stream = Buffer.concat([chunkFrame, completeFrame]);
    for (const pieces of [[stream], [...stream].map((byte) => Buffer.from([byte]))]) {
      const it = await asked(true);
      it.response(pieces).close();
      expect(it.answer.slice(1, -1)).toEqual(pieces.map(whole));
      expect((await it.metric("llm_d_epp_request_output_tokens_sum"))[0]).toMatch(/\} 10$/);
    }
  });
});

test("messages of Vertex AI are routed by their JSON, and their answers tell the tokens", async () => {
  const body = frame(bytes(1, "e"), bytes(2, bytes(2, '{"model":"foo","input":"x","stream":true}')));
  const path = "/google.cloud.aiplatform.v1beta1.PredictionService/StreamRawPredict";
  const loras = [
    { queue: 0, kv: 0.1 },
    { queue: 0, kv: 0.1, models: ["foo"] },
  ];
  const it = await (await Case.open(loras, "vertexai-parser")).request([body], { path });
  expect(it.routedTo?.destination).toBe("192.168.1.2:8000");
  expect(it.sent).toEqual(body);
  const event = 'data: {"usage":{"prompt_tokens":7,"completion_tokens":10}}\n\n';
  const pieces = [frame(bytes(1, "text/event-stream"), bytes(2, event)), frame(bytes(2, "data: [DONE]\n\n"))];
  it.response(pieces).close();
  expect(it.answer).toEqual([wentInto, ...pieces.map(whole), trailers]);
  expect((await it.metric("llm_d_epp_request_input_tokens_sum"))[0]).toMatch(/model_name="foo".*\} 7$/);
});
