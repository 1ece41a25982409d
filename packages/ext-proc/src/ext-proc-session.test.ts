import { create, fromBinary, type JsonObject, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { Client, type ClientDuplexStream, credentials, Metadata, type StatusObject } from "@grpc/grpc-js";
import { RequestError, type Router } from "@pointsman/core";
import {
  createGrpcJsServer,
  createHttp2Server,
  type RpcServer,
  type RpcServerFactory,
} from "@pointsman/grpc-transport";
import { ProcessingRequestSchema, type ProcessingResponse, ProcessingResponseSchema } from "@pointsman/proto/ext-proc";
import { buildEndpoint, buildRouter, named, type RouterOptions } from "@pointsman/testkit";
import { afterEach, beforeAll, describe, expect, test } from "vitest";
import { extProcMethod, maxReplyBodyBytes, processMethod } from "./ext-proc-session.ts";

type Message = MessageInitShape<typeof ProcessingRequestSchema>;

/** The transport under test. */
let createServer: RpcServerFactory;

const open: { server: RpcServer; client: Client }[] = [];
afterEach(() => {
  for (const { server, client } of open.splice(0)) {
    client.close();
    server.stop();
  }
});

/** One stream to a server with this router: sends messages, and gives replies and status as they come. */
async function connect(router: Router, maxReceiveBytes = 4 * 1024 * 1024) {
  const server = createServer({
    host: "127.0.0.1",
    port: 0,
    methods: new Map([[processMethod, extProcMethod(() => router)]]),
    maxReceiveBytes,
  });
  const { port } = await server.start();
  const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure());
  open.push({ server, client });
  const replies: ProcessingResponse[] = [];
  const waiting: (() => void)[] = [];
  const wake = (): void => {
    for (const run of waiting.splice(0)) run();
  };
  const call: ClientDuplexStream<Buffer, Buffer> = client.makeBidiStreamRequest(
    processMethod,
    (bytes: Buffer) => bytes,
    (bytes: Buffer) => bytes,
    new Metadata(),
  );
  let status: StatusObject | undefined;
  call.on("data", (bytes: Buffer) => {
    replies.push(fromBinary(ProcessingResponseSchema, bytes));
    wake();
  });
  call.on("status", (end: StatusObject) => {
    status = end;
    wake();
  });
  call.on("error", () => {});
  return {
    call,
    replies,
    send(message: Message): void {
      call.write(Buffer.from(toBinary(ProcessingRequestSchema, create(ProcessingRequestSchema, message))));
    },
    raw: (bytes: Uint8Array): void => void call.write(Buffer.from(bytes)),
    async until(count: number): Promise<readonly ProcessingResponse[]> {
      while (replies.length < count && status === undefined)
        await new Promise<void>((resolve) => waiting.push(resolve));
      return replies;
    },
    async end(): Promise<StatusObject> {
      while (status === undefined) await new Promise<void>((resolve) => waiting.push(resolve));
      return status;
    },
  };
}

const headers = (
  pairs: Record<string, string>,
  endOfStream = false,
  metadata?: Record<string, JsonObject>,
): Message => ({
  request: {
    case: "requestHeaders",
    value: {
      headers: { headers: Object.entries(pairs).map(([key, value]) => ({ key, rawValue: Buffer.from(value) })) },
      endOfStream,
    },
  },
  ...(metadata === undefined ? {} : { metadataContext: { filterMetadata: metadata } }),
});
const body = (text: string | Uint8Array, endOfStream: boolean, metadata?: Record<string, JsonObject>): Message => ({
  request: { case: "requestBody", value: { body: Buffer.from(text), endOfStream } },
  ...(metadata === undefined ? {} : { metadataContext: { filterMetadata: metadata } }),
});
const responseHeaders = (pairs: Record<string, string>): Message => ({
  request: {
    case: "responseHeaders",
    value: {
      headers: { headers: Object.entries(pairs).map(([key, value]) => ({ key, rawValue: Buffer.from(value) })) },
    },
  },
});
const responseBody = (text: string, endOfStream: boolean): Message => ({
  request: { case: "responseBody", value: { body: Buffer.from(text), endOfStream } },
});

function setHeaders(reply: ProcessingResponse | undefined): Record<string, string> {
  const { response } = reply!;
  const mutation =
    response.case === "requestHeaders" || response.case === "responseHeaders"
      ? response.value.response?.headerMutation
      : response.case === "immediateResponse"
        ? response.value.headers
        : undefined;
  return Object.fromEntries(
    (mutation?.setHeaders ?? []).map((option) => [option.header!.key, Buffer.from(option.header!.rawValue).toString()]),
  );
}

function streamed(reply: ProcessingResponse | undefined): { text: string; end: boolean; bytes: number } {
  const { response } = reply!;
  if (response.case !== "requestBody" && response.case !== "responseBody")
    throw new Error(`not a body: ${response.case}`);
  const mutation = response.value.response?.bodyMutation?.mutation;
  if (mutation?.case !== "streamedResponse") throw new Error("not streamed");
  return {
    text: Buffer.from(mutation.value.body).toString(),
    end: mutation.value.endOfStream,
    bytes: mutation.value.body.length,
  };
}

const chat = { ":path": "/v1/chat/completions", "x-request-id": "r1" };
const two = [
  buildEndpoint(0, { address: "10.0.0.1", port: 8000 }),
  buildEndpoint(1, { address: "10.0.0.2", port: 8000 }),
];
const routerWith = (options: RouterOptions = {}): Router =>
  buildRouter({ endpoints: two.slice(0, 1), ...options }).router;

describe.each([
  ["http2", createHttp2Server],
  ["grpc-js", createGrpcJsServer],
])("on the transport %s", (_transport, factory) => {
  beforeAll(() => {
    createServer = factory;
  });

  test("a split body is answered with headers, then the same bytes, once it is whole", async () => {
    const peer = await connect(routerWith());
    peer.send(headers({ ...chat, hi: "mom" }));
    peer.send(body('{"model":"m","pro', false));
    peer.send(body('mpt":"x"}', true));
    const [first, second] = await peer.until(2);
    expect(first!.response.case).toBe("requestHeaders");
    expect(setHeaders(first)).toEqual({ "x-gateway-destination-endpoint": "10.0.0.1:8000", "Content-Length": "26" });
    expect(first!.response.case === "requestHeaders" && first!.response.value.response?.clearRouteCache).toBe(true);
    expect(first!.dynamicMetadata).toEqual({ "envoy.lb": { "x-gateway-destination-endpoint": "10.0.0.1:8000" } });
    expect(second!.response.case).toBe("requestBody");
    expect(streamed(second)).toEqual({ text: '{"model":"m","prompt":"x"}', end: true, bytes: 26 });
    peer.call.end();
    expect((await peer.end()).code).toBe(0);
  });

  test.each([
    [maxReplyBodyBytes, 1],
    [maxReplyBodyBytes + 1, 2],
    [3 * maxReplyBodyBytes, 3],
  ])("a body of %d bytes comes back in %d pieces, the end on the last only", async (bytes, pieces) => {
    const peer = await connect(routerWith());
    const frame = '{"model":"m","prompt":""}';
    const text = `${frame.slice(0, -2)}${"x".repeat(bytes - frame.length)}${frame.slice(-2)}`;
    peer.send(headers(chat));
    peer.send(body(text, true));
    const replies = (await peer.until(1 + pieces)).slice(1).map((reply) => streamed(reply));
    expect(replies.map((reply) => reply.end)).toEqual([...Array(pieces - 1).fill(false), true]);
    expect(replies.map((reply) => reply.text).join("")).toBe(text);
    expect(Math.max(...replies.map((reply) => reply.bytes))).toBeLessThanOrEqual(maxReplyBodyBytes);
  });

  test("control headers of a client are removed, and the destination is ours", async () => {
    const peer = await connect(routerWith());
    peer.send(
      headers({
        ...chat,
        "x-gateway-destination-endpoint": "6.6.6.6:1",
        "x-prefiller-host-port": "6.6.6.6:2",
        "x-llm-d-inference-objective": "gold",
      }),
    );
    peer.send(body('{"model":"m"}', true));
    const [routed] = await peer.until(1);
    expect(setHeaders(routed)["x-gateway-destination-endpoint"]).toBe("10.0.0.1:8000");
    expect(
      routed!.response.case === "requestHeaders" && routed!.response.value.response?.headerMutation?.removeHeaders,
    ).toEqual(["x-prefiller-host-port", "x-llm-d-inference-objective"]);
  });

  test("a request without id gets one, also towards the model server", async () => {
    const peer = await connect(routerWith());
    peer.send(headers({ ":path": "/v1/completions" }));
    peer.send(body('{"model":"m"}', true));
    expect(setHeaders((await peer.until(1))[0])["x-request-id"]).toBe("generated-1");
  });

  test("a request without body is answered at once, with its destination and no length", async () => {
    const peer = await connect(routerWith());
    peer.send(headers({ ":path": "/v1/models", "x-request-id": "r" }, true));
    expect(setHeaders((await peer.until(1))[0])).toEqual({ "x-gateway-destination-endpoint": "10.0.0.1:8000" });
    expect(peer.replies).toHaveLength(1);
  });

  test.each([
    [
      "no endpoints",
      { endpoints: [] },
      '{"model":"m"}',
      503,
      "inference error: ServiceUnavailable - failed to find endpoint candidates for serving the request",
      "rejected-no-endpoints",
    ],
    ["bad JSON", {}, "{", 400, "inference error: BadRequest - error unmarshaling request bodyMap: not JSON", undefined],
    [
      "no model",
      { endpoints: [] },
      "{}",
      400,
      "inference error: BadRequest - model not found in request body",
      undefined,
    ],
    [
      "too large",
      { maxRequestBodyBytes: 5 },
      '{"model":"m"}',
      413,
      "inference error: PayloadTooLarge - request body exceeds 5 bytes",
      undefined,
    ],
  ] as const)(
    "%s ends the request with an immediate response",
    async (_name, options, text, status, message, reason) => {
      const peer = await connect(routerWith(options));
      peer.send(headers(chat));
      peer.send(body(text, true));
      const [reply] = await peer.until(1);
      const { response } = reply!;
      if (response.case !== "immediateResponse") throw new Error(`got ${response.case}`);
      expect(response.value.status?.code).toBe(status);
      expect(Buffer.from(response.value.body).toString()).toBe(message);
      expect(setHeaders(reply)).toEqual(reason === undefined ? {} : { "x-llm-d-request-dropped-reason": reason });
      expect((await peer.end()).code).toBe(0);
    },
  );

  test("an unknown path is refused by name", async () => {
    const peer = await connect(routerWith());
    peer.send(headers({ ":path": "/v2/nothing?x=1" }));
    peer.send(body("{}", true));
    const { response } = (await peer.until(1))[0]!;
    expect(response.case === "immediateResponse" && Buffer.from(response.value.body).toString()).toBe(
      "inference error: BadRequest - no parser registered matching path suffix for: /v2/nothing",
    );
  });

  test.each([
    ["in the headers message", "headers"],
    ["in the body message", "body"],
  ])("a subset hint %s is honoured", async (_name, where) => {
    const hint = { "envoy.lb.subset_hint": { "x-gateway-destination-endpoint-subset": ["10.0.0.2:8000"] } };
    const peer = await connect(routerWith({ endpoints: two }));
    peer.send(headers(chat, false, where === "headers" ? hint : undefined));
    peer.send(body('{"model":"m"}', true, where === "body" ? hint : undefined));
    expect(setHeaders((await peer.until(1))[0])["x-gateway-destination-endpoint"]).toBe("10.0.0.2:8000");
  });

  test("trailers end a body that was not marked as ended", async () => {
    const peer = await connect(routerWith());
    peer.send(headers(chat));
    peer.send(body('{"model":"m"}', false));
    peer.send({ request: { case: "requestTrailers", value: {} } });
    const replies = await peer.until(3);
    expect(replies.map((reply) => reply.response.case)).toEqual(["requestHeaders", "requestBody", "requestTrailers"]);
    expect(streamed(replies[1]).end).toBe(false);
  });

  test("a JSON answer in two chunks comes back as one body, and its usage is read", async () => {
    const seen: unknown[] = [];
    const peer = await connect(
      routerWith({
        plugins: [
          named({
            responseBody: (_r: unknown, _s: unknown, event: { usage: unknown; endOfStream: boolean }) =>
              void seen.push([event.usage, event.endOfStream]),
          }),
        ],
      }),
    );
    peer.send(headers(chat));
    peer.send(body('{"model":"m"}', true));
    await peer.until(2);
    peer.send(responseHeaders({ ":status": "200", "content-type": "application/json" }));
    peer.send(responseBody('{"usage":{"prompt_tokens":3,', false));
    peer.send(responseBody('"completion_tokens":4,"total_tokens":7}}', true));
    const replies = await peer.until(4);
    expect(setHeaders(replies[2])).toEqual({ "x-went-into-resp-headers": "true" });
    expect(streamed(replies[3])).toMatchObject({
      text: '{"usage":{"prompt_tokens":3,"completion_tokens":4,"total_tokens":7}}',
      end: true,
    });
    expect(seen).toEqual([[{ promptTokens: 3, completionTokens: 4, totalTokens: 7, cachedTokens: undefined }, true]]);
  });

  test("a stream passes chunk by chunk", async () => {
    const peer = await connect(routerWith());
    peer.send(headers(chat));
    peer.send(body('{"model":"m","stream":true}', true));
    await peer.until(2);
    peer.send(responseHeaders({ ":status": "200", "content-type": "text/event-stream" }));
    peer.send(responseBody("data: 1\n\n", false));
    expect(streamed((await peer.until(4))[3])).toEqual({ text: "data: 1\n\n", end: false, bytes: 9 });
    peer.send(responseBody("data: [DONE]\n\n", false));
    peer.send(responseBody("", true));
    const replies = await peer.until(6);
    expect(streamed(replies[4])).toMatchObject({ text: "data: [DONE]\n\n", end: false });
    expect(streamed(replies[5])).toEqual({ text: "", end: true, bytes: 0 });
  });

  test("an answer without a request before it is passed", async () => {
    const peer = await connect(routerWith());
    peer.send(responseHeaders({ ":status": "200", "content-type": "application/json" }));
    peer.send(responseBody("no healthy upstream", true));
    const replies = await peer.until(2);
    expect(streamed(replies[1])).toMatchObject({ text: "no healthy upstream", end: true });
  });

  test("answer trailers after a JSON body: the body without end, then the trailers", async () => {
    const peer = await connect(routerWith());
    peer.send(responseHeaders({ ":status": "200", "content-type": "application/json" }));
    peer.send(responseBody("{}", false));
    peer.send({ request: { case: "responseTrailers", value: {} } });
    const replies = await peer.until(3);
    expect(replies.map((reply) => reply.response.case)).toEqual([
      "responseHeaders",
      "responseBody",
      "responseTrailers",
    ]);
    expect(streamed(replies[1])).toMatchObject({ text: "{}", end: false });
  });

  test.each([
    [
      "headers without a header map",
      toBinary(
        ProcessingRequestSchema,
        create(ProcessingRequestSchema, { request: { case: "requestHeaders", value: {} } }),
      ),
      "request_headers without headers",
    ],
    ["nothing known", new Uint8Array(0), "ProcessingRequest without a known request"],
    ["no protobuf", Uint8Array.of(0x0a, 0xff), "malformed ProcessingRequest"],
  ])("%s ends that stream with INVALID_ARGUMENT", async (_name, bytes, message) => {
    const peer = await connect(routerWith());
    peer.raw(bytes);
    const status = await peer.end();
    expect(status.code).toBe(3);
    expect(status.details).toContain(message);
  });

  test("a message over the limit ends its stream with RESOURCE_EXHAUSTED, and others go on", async () => {
    const router = routerWith();
    const peer = await connect(router, 1024);
    peer.send(headers(chat));
    peer.send(body("x".repeat(2000), true));
    expect((await peer.end()).code).toBe(8);
  });

  test("a client that hangs up while admission waits ends the request for the plugins too", async () => {
    const causes: (string | undefined)[] = [];
    let aborted: (() => void) | undefined;
    const waiting = new Promise<void>((resolve) => {
      aborted = resolve;
    });
    let release: ((error: RequestError | undefined) => void) | undefined;
    const peer = await connect(
      routerWith({
        admission: {
          admit: (request) => {
            request.signal.addEventListener("abort", () => aborted?.());
            return new Promise((resolve) => {
              release = resolve;
            });
          },
        },
        plugins: [
          named({
            responseBody: (_r: unknown, _s: unknown, event: { terminationCause: string | undefined }) =>
              void causes.push(event.terminationCause),
          }),
        ],
      }),
    );
    peer.send(headers(chat));
    peer.send(body('{"model":"m"}', true));
    await expect.poll(() => release).toBeDefined();
    peer.call.cancel();
    await waiting;
    release!(undefined);
    await expect.poll(() => causes).toEqual(["client-disconnect"]);
    expect(peer.replies).toHaveLength(0);
  });

  test("admission that refuses after waiting gives its error", async () => {
    const peer = await connect(
      routerWith({
        admission: {
          admit: async () =>
            new RequestError("ResourceExhausted", "request timed out in queue", "rejected-ttl-expired"),
        },
      }),
    );
    peer.send(headers(chat));
    peer.send(body('{"model":"m"}', true));
    const [reply] = await peer.until(1);
    expect(setHeaders(reply)).toEqual({ "x-llm-d-request-dropped-reason": "rejected-ttl-expired" });
  });
});
