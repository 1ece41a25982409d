import { expect, test } from "vitest";
import { bodyRecorder, OpenExchange } from "../../test/open-exchange.ts";
import { jsonTestParser, named } from "../../test/testkit.ts";
import type { Parser, ResponseContext, ResponseReader } from "../plugin/parser.ts";
import type { ResponseBodyEvent, ResponseHeaderProcessor, ResponseHeadersEvent } from "../plugin/request-plugins.ts";
import type { NamedPlugin } from "../plugin/roles.ts";
import { wireNames } from "../wire-names.ts";
import { maxHeldResponseBytes } from "./response-phase.ts";

const wentInto = ["x-went-into-resp-headers", "true"] as const;

/** A parser whose answers pass through a reader of the test's. */
function parserWith(reader: Partial<ResponseReader>, contexts: ResponseContext[] = []): NamedPlugin<Parser> {
  const responseReader = (_request: unknown, context: ResponseContext): ResponseReader => {
    contexts.push(context);
    return { chunk: (bytes) => bytes, usage: undefined, events: 0, ...reader };
  };
  return named({ ...jsonTestParser, responseReader }, "reading-parser");
}

const matrix = [true, false].flatMap((stream) =>
  ["text/event-stream; charset=utf-8", "application/json", undefined].flatMap((contentType) =>
    [true, false].map((trailers) => ({ stream, contentType, trailers })),
  ),
);

test.each(matrix)(
  "stream: $stream, content type: $contentType, trailers: $trailers: every byte passes and the end comes once",
  ({ stream, contentType, trailers }) => {
    const events: ResponseBodyEvent[] = [];
    const plugin = bodyRecorder(events, (event) => event.setDynamicMetadata("envoy.lb", "cost", 10));
    const open = new OpenExchange({ plugins: [plugin] });
    open.request({ model: "m", stream });
    open.responseHeaders({ ":status": "200", ...(contentType === undefined ? {} : { "Content-Type": contentType }) });
    open.responseBody("data: 1\n\n").responseBody("data: 2\n\n");
    if (trailers) open.exchange.responseTrailers();
    else open.responseBody("data: [DONE]\n\n", true);
    open.exchange.close("error");

    const streaming = contentType === undefined ? stream : contentType.startsWith("text/event-stream");
    const metadata = { "envoy.lb": { cost: 10 } };
    const piece = (text: string, endOfStream: boolean, withMetadata: boolean) => ({
      call: "responseBody",
      text,
      endOfStream,
      metadata: withMetadata ? metadata : undefined,
    });
    const first = "data: 1\n\n";
    const second = "data: 2\n\n";
    const last = "data: [DONE]\n\n";
    const expected = streaming
      ? [piece(first, false, false), piece(second, false, false), ...(trailers ? [] : [piece(last, true, true)])]
      : [trailers ? piece(first + second, false, true) : piece(first + second + last, true, true)];
    expect(open.sink.calls.slice(2)).toEqual(trailers ? [...expected, { call: "responseTrailers" }] : expected);
    expect(events.filter(({ endOfStream }) => endOfStream).map(({ terminationCause }) => terminationCause)).toEqual([
      "natural",
    ]);
    expect(events.at(-1)!.endOfStream).toBe(true);
    expect(events.map(({ startOfStream }) => startOfStream)).toEqual(events.map((_, i) => i === 0));
    expect(events.reduce((sum, { chunkBytes }) => sum + chunkBytes, 0)).toBe(
      (first + second + (trailers ? "" : last)).length,
    );
    expect(open.running).toBe(0);
  },
);

test.each([
  ["application/grpc", true],
  ["application/grpc", false],
  ["Application/gRPC+proto", true],
])("an answer of type %s is a stream when the request asked for one: %s", (contentType, stream) => {
  const contexts: ResponseContext[] = [];
  const open = new OpenExchange({ parsers: [parserWith({}, contexts)] });
  open.request({ model: "m", stream }).responseHeaders({ "content-type": contentType });
  open.responseBody("1").responseBody("2");
  expect(open.sink.all("responseBody").map(({ text }) => text)).toEqual(stream ? ["1", "2"] : []);
  open.exchange.responseTrailers();
  expect(open.sink.all("responseBody").map(({ text }) => text)).toEqual(stream ? ["1", "2"] : ["12"]);
  expect(contexts.map(({ streaming }) => streaming)).toEqual([stream]);
});

test("an answer without a body ends with its headers, and the plugins get one event", () => {
  const events: ResponseBodyEvent[] = [];
  const open = new OpenExchange({ plugins: [bodyRecorder(events)] });
  open.request().responseHeaders({ ":status": "204" }, true);
  open.exchange.close("error");
  expect(open.sink.calls.slice(1)).toEqual([{ call: "responseHeaders", headers: { set: [wentInto], remove: [] } }]);
  expect(events).toMatchObject([
    { startOfStream: true, endOfStream: true, chunkBytes: 0, terminationCause: "natural" },
  ]);
});

test("a held answer that grows past the bound passes on as it comes", () => {
  const events: ResponseBodyEvent[] = [];
  const open = new OpenExchange({ plugins: [bodyRecorder(events)] });
  open.request().responseHeaders({ ":status": "200", "content-type": "application/json" });
  const half = "x".repeat(maxHeldResponseBytes / 2);
  open.responseBody(half).responseBody(half);
  expect(open.sink.all("responseBody")).toEqual([]);
  open.responseBody("y");
  expect(open.sink.all("responseBody").map(({ text, endOfStream }) => [text.length, endOfStream])).toEqual([
    [maxHeldResponseBytes + 1, false],
  ]);
  open.responseBody("z").responseBody("end", true);
  expect(
    open.sink
      .all("responseBody")
      .slice(1)
      .map(({ text, endOfStream }) => [text, endOfStream]),
  ).toEqual([
    ["z", false],
    ["end", true],
  ]);
  expect(events.map(({ chunkBytes, endOfStream }) => [chunkBytes, endOfStream])).toEqual([
    [maxHeldResponseBytes + 1, false],
    [1, false],
    [3, true],
  ]);
});

test("trailers after an answer that passed the bound bring nothing twice", () => {
  const open = new OpenExchange();
  open
    .request()
    .responseHeaders()
    .responseBody("x".repeat(maxHeldResponseBytes + 1));
  open.exchange.responseTrailers();
  expect(open.sink.calls.slice(2).map(({ call }) => call)).toEqual(["responseBody", "responseTrailers"]);
});

test("an empty last piece ends a held answer with all of it", () => {
  const open = new OpenExchange();
  open.request().responseHeaders().responseBody("{}").responseBody("", true);
  expect(open.sink.all("responseBody")).toEqual([
    { call: "responseBody", text: "{}", endOfStream: true, metadata: undefined },
  ]);
});

test("an empty piece in a stream passes on and is no step for the plugins", () => {
  const events: ResponseBodyEvent[] = [];
  const open = new OpenExchange({ plugins: [bodyRecorder(events)] });
  open.request({ model: "m", stream: true }).responseHeaders();
  open.responseBody("").responseBody("data: 1\n\n").responseBody("", true);
  expect(open.sink.all("responseBody").map(({ text }) => text)).toEqual(["", "data: 1\n\n", ""]);
  expect(events.map(({ startOfStream, chunkBytes }) => [startOfStream, chunkBytes])).toEqual([
    [true, 9],
    [false, 0],
  ]);
});

test("what comes after the end of an answer is dropped", () => {
  const open = new OpenExchange();
  open.request().responseHeaders().responseBody("{}", true).responseBody("more", true);
  expect(open.sink.all("responseBody")).toHaveLength(1);
});

test("an answer without a request passes, read by the parser of the default path", () => {
  const open = new OpenExchange();
  open.responseHeaders({ ":status": "200", "content-type": "application/json" });
  open.responseBody('{"usage":{"prompt_tokens":7,').responseBody('"completion_tokens":10,"total_tokens":17}}', true);
  open.exchange.close("error");
  expect(open.sink.calls.map(({ call }) => call)).toEqual(["responseHeaders", "responseBody"]);
  expect(open.metrics.observations("llm_d_epp_request_input_tokens", { model_name: "", priority: "0" })).toEqual([7]);
  expect(open.metrics.observations("llm_d_epp_request_output_tokens", { model_name: "" })).toEqual([10]);
});

test("an answer without a request calls no plugin", () => {
  const never = (): never => expect.unreachable("called without a request");
  const open = new OpenExchange({ plugins: [named({ responseHeaders: never, responseBody: never })] });
  open.responseHeaders().responseBody("{}", true);
  open.exchange.close("error");
  expect(open.sink.calls).toHaveLength(2);
});

test("response header plugins see status, server and metadata, and what they set reaches the client", () => {
  const seen: ResponseHeadersEvent[] = [];
  const plugin: NamedPlugin<ResponseHeaderProcessor> = named({
    responseHeaders: (request, result, event) => {
      seen.push(event);
      event.setHeaders.set("x-served", `${request.id} ${result.primaryProfile} ${event.servedBy}`);
    },
  });
  const open = new OpenExchange({ plugins: [plugin] });
  const metadata = { [wireNames.lbNamespace]: { [wireNames.destinationServed]: "127.0.0.1:8001" } };
  open.request({ model: "m" }, { "x-request-id": "7" });
  open.responseHeaders({ ":status": "201", "x-a": "b" }, false, metadata);
  expect(seen).toMatchObject([{ status: 201, servedBy: "127.0.0.1:8001", proxyMetadata: metadata }]);
  expect(seen[0]!.headers.get("x-a")).toBe("b");
  expect(open.sink.one("responseHeaders").headers).toEqual({
    set: [wentInto, ["x-served", "7 default 127.0.0.1:8001"]],
    remove: [],
  });
});

test.each([
  { name: "no metadata", metadata: {} },
  { name: "another namespace", metadata: { other: { [wireNames.destinationServed]: "a:1" } } },
  { name: "a namespace that is no object", metadata: { [wireNames.lbNamespace]: ["a:1"] } },
  { name: "a value that is no string", metadata: { [wireNames.lbNamespace]: { [wireNames.destinationServed]: 7 } } },
])("the server is unknown with $name", ({ metadata }) => {
  const seen: ResponseHeadersEvent[] = [];
  const plugin: NamedPlugin<ResponseHeaderProcessor> = named({
    responseHeaders: (_q, _r, event) => void seen.push(event),
  });
  new OpenExchange({ plugins: [plugin] }).request().responseHeaders({}, false, metadata);
  expect(seen).toMatchObject([{ servedBy: undefined, status: undefined }]);
});

test("a response plugin that throws costs its own call and nothing else", () => {
  const events: ResponseBodyEvent[] = [];
  const throwing = named(
    {
      responseHeaders: (): never => {
        throw new Error("headers");
      },
      responseBody: (): never => {
        throw new Error("body");
      },
    },
    "throwing",
  );
  const open = new OpenExchange({ plugins: [throwing, bodyRecorder(events)] });
  open.request().responseHeaders().responseBody("{}", true);
  expect(open.sink.one("responseBody").text).toBe("{}");
  expect(events).toHaveLength(1);
  const failures = open.metrics.series("llm_d_epp_plugin_failures_total");
  expect(failures.map(({ labels }) => [labels["plugin_name"], labels["extension_point"]])).toEqual([
    ["throwing", "ResponseReceived"],
    ["throwing", "ResponseStreaming"],
  ]);
});

test("plugins see usage and events as the reader reports them", () => {
  const events: ResponseBodyEvent[] = [];
  let chunks = 0;
  const usage = { promptTokens: 7, completionTokens: 2, totalTokens: 9, cachedTokens: undefined };
  const reader: Partial<ResponseReader> = {
    chunk: (bytes) => {
      chunks++;
      return bytes;
    },
    get usage() {
      return chunks > 1 ? usage : undefined;
    },
    get events() {
      return chunks * 10;
    },
  };
  const contexts: ResponseContext[] = [];
  const parser = named(
    {
      ...jsonTestParser,
      responseReader: (_request: unknown, context: ResponseContext): ResponseReader => {
        contexts.push(context);
        // Not copied: the getters must stay.
        return reader as ResponseReader;
      },
    },
    "parser",
  );
  const open = new OpenExchange({ plugins: [bodyRecorder(events)], parsers: [parser] });
  open.request({ model: "m", stream: true }).responseHeaders({ "x-a": "b" }).responseBody("1").responseBody("2", true);
  expect(events.map(({ streamedEvents }) => streamedEvents)).toEqual([10, 20]);
  expect(events.map((event) => event.usage)).toEqual([undefined, usage]);
  expect(contexts).toMatchObject([{ streaming: true, restoreModel: undefined, ignoresEvents: false }]);
  const unheard = new OpenExchange({ plugins: [], parsers: [parser] });
  unheard.request({ model: "m", stream: true }).responseHeaders({}).responseBody("1", true);
  expect(contexts[1]).toMatchObject({ ignoresEvents: true });
  expect(contexts[0]!.headers.get("x-a")).toBe("b");
});

test.each([
  {
    name: "asks to restore a rewritten model",
    body: { model: "m" },
    rewrite: "m-v2",
    restore: { from: "m-v2", to: "m" },
  },
  { name: "restores nothing without a rewrite", body: { model: "m" }, rewrite: "m", restore: undefined },
  { name: "restores nothing for a body without a model", body: {}, rewrite: "m-v2", restore: undefined },
])("the reader $name", ({ body, rewrite, restore }) => {
  const contexts: ResponseContext[] = [];
  const open = new OpenExchange({ parsers: [parserWith({}, contexts)] });
  open.request(body, { "x-llm-d-model-name-rewrite": rewrite }).responseHeaders().responseBody("{}", true);
  expect(contexts.map(({ restoreModel }) => restoreModel)).toEqual([restore]);
});

test("a reader that changes and holds back bytes decides what is sent, trailers included", () => {
  let held = "";
  const reader: Partial<ResponseReader> = {
    chunk: (bytes, endOfStream) => {
      const text = held + Buffer.from(bytes).toString().toUpperCase();
      held = endOfStream ? "" : text.slice(-1);
      return Buffer.from(endOfStream ? text : text.slice(0, -1));
    },
  };
  const open = new OpenExchange({ parsers: [parserWith(reader)] });
  open.request({ model: "m", stream: true }).responseHeaders().responseBody("abc").responseBody("def");
  open.exchange.responseTrailers();
  expect(open.sink.all("responseBody").map(({ text, endOfStream }) => [text, endOfStream])).toEqual([
    ["AB", false],
    ["CDE", false],
    ["F", false],
  ]);
  expect(open.sink.calls.at(-1)).toEqual({ call: "responseTrailers" });
});

test.each<{ readonly name: string; readonly parser: NamedPlugin<Parser> }>([
  {
    name: "while it is made",
    parser: named({
      ...jsonTestParser,
      responseReader: () => {
        throw new Error("no reader");
      },
    }),
  },
  {
    name: "in a piece",
    parser: parserWith({
      chunk: () => {
        throw new Error("bad answer");
      },
    }),
  },
])("an answer passes unchanged when its reader throws $name, and the reader is not asked again", ({ parser }) => {
  const events: ResponseBodyEvent[] = [];
  const open = new OpenExchange({ plugins: [bodyRecorder(events)], parsers: [parser] });
  open
    .request({ model: "m", stream: true })
    .responseHeaders()
    .responseBody("a")
    .responseBody("b")
    .responseBody("c", true);
  expect(open.sink.all("responseBody").map(({ text }) => text)).toEqual(["a", "b", "c"]);
  expect(events).toHaveLength(3);
  expect(open.metrics.value("llm_d_epp_plugin_failures_total", { extension_point: "ResponseParsing" })).toBe(1);
  expect(open.logger.of("error").map(({ fields }) => fields["problem"])).toEqual(["threw"]);
});

test("metadata of several plugins and namespaces goes out together, with the last piece only", () => {
  const first = bodyRecorder([], (event) => event.setDynamicMetadata("envoy.lb", "cost", 10));
  const early: NamedPlugin = named({
    responseBody: (_request, _result, event) => {
      event.setDynamicMetadata("envoy.lb", "events", event.streamedEvents);
      event.setDynamicMetadata("other", "seen", ["a", { b: null }]);
    },
  });
  const open = new OpenExchange({ plugins: [early, first] });
  open.request({ model: "m", stream: true }).responseHeaders().responseBody("1").responseBody("2", true);
  expect(open.sink.all("responseBody").map(({ metadata }) => metadata)).toEqual([
    undefined,
    { "envoy.lb": { events: 0, cost: 10 }, other: { seen: ["a", { b: null }] } },
  ]);
});
