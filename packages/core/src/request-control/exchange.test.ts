import { expect, test } from "vitest";
import { OpenExchange } from "../../test/open-exchange.ts";
import { buildBody, buildEndpoint, jsonTestParser, named } from "../../test/testkit.ts";
import type { Parser } from "../plugin/parser.ts";
import type { PreRequest, RequestHeaderProcessor } from "../plugin/request-plugins.ts";
import type { NamedPlugin } from "../plugin/roles.ts";
import type { Picker, Scorer } from "../plugin/scheduling-plugins.ts";
import type { MetadataObject } from "../request.ts";
import { RequestError } from "../request-error.ts";
import { wireNames } from "../wire-names.ts";
import { replyFor } from "./error-reply.ts";
import { HeldBodies } from "./held-bodies.ts";

const hint = (...entries: readonly string[]): MetadataObject => ({
  [wireNames.subsetNamespace]: { [wireNames.destinationSubset]: entries },
});

const parser = (overrides: Partial<Parser>): NamedPlugin<Parser> =>
  named({ ...jsonTestParser, ...overrides }, "test-parser");

test("a request that ends with its headers goes to a random endpoint at once, without a body", () => {
  const open = new OpenExchange({}, { random: () => 0.6 });
  open.requestHeaders({ ":method": "GET", "x-request-id": "7" }, true);
  expect(open.sink.calls).toEqual([
    {
      call: "routed",
      body: "",
      request: {
        targets: [expect.objectContaining({ id: "default/server-1" })],
        destination: "127.0.0.1:8001",
        headers: { set: [["x-gateway-destination-endpoint", "127.0.0.1:8001"]], remove: [] },
        body: [],
        bodyBytes: 0,
        hasBody: false,
        scores: undefined,
        trailersFollow: false,
        skipResponse: false,
      },
    },
  ]);
});

test.each([0, 0.49, 0.5, 0.999])("a random number of %d stays within the endpoints", (random) => {
  const open = new OpenExchange({}, { random: () => random });
  open.requestHeaders({}, true);
  expect(open.sink.one("routed").request.destination).toBe(random < 0.5 ? "127.0.0.1:8000" : "127.0.0.1:8001");
});

test("a request without a body honours the subset hint and skips endpoints that are down", () => {
  const endpoints = [buildEndpoint(0), buildEndpoint(1), buildEndpoint(2, { address: "fd00::1" })];
  endpoints[0]!.reachability = "down";
  const down = new OpenExchange({ endpoints });
  down.requestHeaders({}, true);
  expect(down.sink.one("routed").request.destination).toBe("127.0.0.1:8001");
  const hinted = new OpenExchange({ endpoints });
  hinted.requestHeaders({}, true, hint("[fd00::1]:8002"));
  expect(hinted.sink.one("routed").request.destination).toBe("[fd00::1]:8002");
});

test.each([
  { name: "without endpoints", endpoints: [], metadata: {} },
  { name: "with an empty subset", endpoints: [buildEndpoint(0)], metadata: hint() },
])("a request without a body ends with 503 $name", ({ endpoints, metadata }) => {
  const open = new OpenExchange({ endpoints });
  open.requestHeaders({}, true, metadata);
  expect(open.sink.calls).toEqual([
    {
      call: "reply",
      reply: {
        status: 503,
        body: "inference error: ServiceUnavailable - failed to find endpoint candidates for serving the request",
        headers: [["x-llm-d-request-dropped-reason", "rejected-no-endpoints"]],
      },
    },
  ]);
});

test("nothing is sent before the body is whole; then the split body goes on byte by byte", () => {
  const open = new OpenExchange();
  open.requestHeaders().requestBody('{"model":', false).requestBody("", false).requestBody(' "m" ', false);
  expect(open.sink.calls).toEqual([]);
  open.requestBody("}");
  const { request, body } = open.sink.one("routed");
  expect(body).toBe('{"model": "m" }');
  expect(request).toMatchObject({ destination: "127.0.0.1:8000,127.0.0.1:8001", bodyBytes: 15, hasBody: true });
  expect(request.headers.set).toEqual([
    ["x-gateway-destination-endpoint", "127.0.0.1:8000,127.0.0.1:8001"],
    ["Content-Length", "15"],
    ["x-request-id", "generated-1"],
  ]);
});

test("an end of stream in a message of its own ends the body", () => {
  const open = new OpenExchange();
  open.requestHeaders().requestBody({ model: "m" }, false).requestBody("");
  expect(open.sink.one("routed").body).toBe('{"model":"m"}');
});

test("the first picked endpoint leads the destination list, IPv6 in brackets", () => {
  const endpoints = [buildEndpoint(0, { address: "fd00::1" }), buildEndpoint(1, { address: "10.0.0.1" })];
  const reversing = named<Picker>({ pick: (_request, list) => list.toReversed() });
  const open = new OpenExchange({ endpoints, plugins: [reversing] });
  open.request();
  const { request } = open.sink.one("routed");
  expect(request.destination).toBe("10.0.0.1:8001,[fd00::1]:8000");
  expect(request.targets.map(({ slot }) => slot)).toEqual([1, 0]);
});

test("metadata of a request's messages has a bound, however it comes", () => {
  const open = new OpenExchange();
  open.requestHeaders({}, false, { first: {} });
  for (let at = 0; at < 255; at++) open.requestBody(" ", false, { [`name${at}`]: {} });
  open.requestBody(" ", false, { first: {}, name7: {} });
  expect(open.sink.calls).toEqual([]);
  open.requestBody(" ", false, { another: {} });
  open.requestBody({ model: "m" });
  expect(open.sink.calls).toEqual([
    {
      call: "reply",
      reply: expect.objectContaining({
        status: 400,
        body: "inference error: BadRequest - metadata of more than 256 namespaces",
      }),
    },
  ]);
});

test.each([true, false])(
  "metadata of the headers has the same bound, where they end the request: %s",
  (endOfStream) => {
    const metadata = (namespaces: number): MetadataObject =>
      Object.fromEntries(Array.from({ length: namespaces }, (_, at) => [`name${at}`, {}]));
    const open = new OpenExchange();
    open.requestHeaders({}, endOfStream, metadata(257)).requestBody({ model: "m" });
    expect(open.sink.calls).toEqual([
      {
        call: "reply",
        reply: expect.objectContaining({
          status: 400,
          body: "inference error: BadRequest - metadata of more than 256 namespaces",
        }),
      },
    ]);
    const allowed = new OpenExchange();
    allowed.requestHeaders({}, endOfStream, metadata(256)).requestBody({ model: "m" });
    expect(allowed.sink.one("routed").request.hasBody).toBe(!endOfStream);
  },
);

test("a body larger than the limit ends with 413 and later messages change nothing", () => {
  const open = new OpenExchange({ maxRequestBodyBytes: 20 });
  open.requestHeaders().requestBody("x".repeat(20), false);
  expect(open.sink.calls).toEqual([]);
  open.requestBody("y", false).requestBody("z");
  open.exchange.requestTrailers();
  open.responseHeaders().responseBody("answer", true);
  open.exchange.responseTrailers();
  expect(open.sink.calls).toEqual([
    {
      call: "reply",
      reply: {
        status: 413,
        body: "inference error: PayloadTooLarge - request body exceeds 20 bytes",
        headers: [],
      },
    },
  ]);
});

test("a body for which there is no room ends with 503, and the others go on", () => {
  const heldBodies = new HeldBodies(40);
  const first = new OpenExchange({}, { heldBodies });
  first.requestHeaders().requestBody('{"model":"m"', false);
  const second = new OpenExchange({}, { heldBodies });
  second.requestHeaders().requestBody("x".repeat(20), false);
  expect(heldBodies.bytes).toBe(32);
  second.requestBody("x".repeat(9), false);
  expect(second.sink.one("reply").reply).toMatchObject({
    status: 503,
    body: "inference error: ServiceUnavailable - request bodies that wait would take more than 40 bytes",
  });
  expect(heldBodies.bytes).toBe(12);
  first.requestBody("}");
  expect(first.sink.one("routed").request.bodyBytes).toBe(13);
  expect(heldBodies.bytes).toBe(0);
});

test.each<[string, (open: OpenExchange) => unknown]>([
  [
    "is closed while its body comes",
    (open) => open.requestBody('{"model":', false).exchange.close("client-disconnect"),
  ],
  ["is refused for its size", (open) => open.requestBody("x".repeat(90), false).requestBody("x".repeat(90))],
  ["is refused by its parser", (open) => open.requestBody("no JSON")],
  ["is routed and closed", (open) => open.requestBody({ model: "m" }).exchange.close("error")],
  [
    "has an answer before its decision",
    (open) => open.requestBody('{"m', false).responseHeaders().exchange.close("error"),
  ],
])("an exchange that %s holds nothing afterwards", (_what, run) => {
  const heldBodies = new HeldBodies(1000);
  const open = new OpenExchange({ maxRequestBodyBytes: 100 }, { heldBodies });
  run(open.requestHeaders());
  expect(heldBodies.bytes).toBe(0);
});

test("an answer for which there is no room passes on as it comes, and the others are held", () => {
  const heldAnswers = new HeldBodies(40);
  const first = new OpenExchange({}, { heldAnswers });
  first.request().responseHeaders().responseBody("x".repeat(30));
  expect(heldAnswers.bytes).toBe(30);
  const second = new OpenExchange({}, { heldAnswers });
  second.request().responseHeaders().responseBody("y".repeat(8)).responseBody("y".repeat(8));
  expect(heldAnswers.bytes).toBe(30);
  second.responseBody("y").responseBody("", true);
  expect(second.sink.all("responseBody").map(({ text }) => text.length)).toEqual([16, 1, 0]);
  expect(second.logger.lines.filter(({ message }) => message.startsWith("too much is kept"))).toHaveLength(1);
  expect(second.metrics.value("llm_d_epp_response_let_go_total")).toBe(1);
  first.responseBody("x", true);
  expect(first.sink.one("responseBody").text).toBe("x".repeat(31));
  expect(heldAnswers.bytes).toBe(0);
});

test.each<[string, (open: OpenExchange) => unknown]>([
  ["ends", (open) => open.responseBody("}", true)],
  ["ends with trailers", (open) => open.exchange.responseTrailers()],
  ["is cut", (open) => open.exchange.close("client-disconnect")],
  ["is longer than what is held", (open) => open.responseBody("x".repeat(2 * 1024 * 1024))],
])("an answer that %s is held no longer", (_what, run) => {
  const heldAnswers = new HeldBodies(1e9);
  for (const routed of [true, false]) {
    const open = new OpenExchange({}, { heldAnswers });
    if (routed) open.request();
    open.responseHeaders().responseBody("{");
    expect(heldAnswers.bytes).toBe(1);
    run(open);
    expect(heldAnswers.bytes).toBe(0);
  }
});

test("a path that no parser claims ends with 400", () => {
  const open = new OpenExchange();
  open.request({ model: "m" }, { ":path": "/v1/embeddings?x=1" });
  expect(open.sink.one("reply").reply).toMatchObject({
    status: 400,
    body: "inference error: BadRequest - no parser registered matching path suffix for: /v1/embeddings",
  });
});

test("a body that the parser refuses ends with the parser's error", () => {
  const open = new OpenExchange();
  open.request("no healthy upstream");
  expect(open.sink.one("reply").reply).toEqual({
    status: 400,
    body: "inference error: BadRequest - error unmarshaling request bodyMap: not JSON",
    headers: [],
  });
});

test("a parser that throws costs the request, not the process", () => {
  const throwing = parser({
    parseRequest: () => {
      throw new Error("index out of range");
    },
  });
  const open = new OpenExchange({ parsers: [throwing] });
  open.request();
  expect(open.sink.one("reply").reply).toMatchObject({
    status: 500,
    body: 'inference error: Internal - parser "test-parser" failed',
  });
  expect(open.metrics.value("llm_d_epp_plugin_failures_total", { extension_point: "RequestParsing" })).toBe(1);
});

test("the parser gets the path without query, the headers and the whole body", () => {
  const seen: string[] = [];
  const watching = parser({
    claims: [],
    parseRequest: (path, headers, body) => {
      seen.push(path, headers.get("x-a") ?? "", Buffer.from(body).toString());
      return jsonTestParser.parseRequest(path, headers, body);
    },
  });
  const open = new OpenExchange({ parsers: [watching] });
  open.requestHeaders({ ":path": "/anything?q=1", "X-A": "b" }).requestBody('{"mod', false).requestBody('el":"m"}');
  expect(seen).toEqual(["/anything", "b", '{"model":"m"}']);
});

test("trailers end a body that was not marked as ended, and follow it", () => {
  const open = new OpenExchange();
  open.requestHeaders().requestBody({ model: "m" }, false);
  open.exchange.requestTrailers();
  expect(open.sink.calls.map(({ call }) => call)).toEqual(["routed"]);
  expect(open.sink.one("routed").request.trailersFollow).toBe(true);
});

test("trailers after a request was routed pass on", () => {
  const open = new OpenExchange();
  open.requestHeaders({}, true);
  open.exchange.requestTrailers();
  expect(open.sink.calls.map(({ call }) => call)).toEqual(["routed", "requestTrailers"]);
});

test("metadata of the body message replaces the namespaces that it names, and only those", () => {
  const open = new OpenExchange();
  open.requestHeaders({}, false, hint("127.0.0.1:8000")).requestBody({ model: "m" }, true, hint("127.0.0.1:8001"));
  expect(open.sink.one("routed").request.destination).toBe("127.0.0.1:8001");
  const silent = new OpenExchange();
  silent.requestHeaders({}, false, hint("127.0.0.1:8001")).requestBody({ model: "m" }, true, {});
  expect(silent.sink.one("routed").request.destination).toBe("127.0.0.1:8001");
  const other = new OpenExchange();
  other.requestHeaders({}, false, hint("127.0.0.1:8001")).requestBody({ model: "m" }, true, { other: { a: 1 } });
  expect(other.sink.one("routed").request.destination).toBe("127.0.0.1:8001");
});

test.each([
  { name: "the client's", given: { "X-Request-Id": "client-7" }, id: "client-7", set: undefined },
  { name: "a new one without the client's, sent upstream", given: {}, id: "generated-1", set: "generated-1" },
  {
    name: "a new one for an empty one, sent upstream",
    given: { "x-request-id": "" },
    id: "generated-1",
    set: "generated-1",
  },
])("the request id is $name", ({ given, id, set }) => {
  const open = new OpenExchange();
  open.request({ model: "m" }, given);
  expect(open.exchange.requestId).toBe(id);
  expect(open.exchange.request?.id).toBe(id);
  expect(new Map(open.sink.one("routed").request.headers.set).get("x-request-id")).toBe(set);
});

test("control headers of the client are removed, but for those the picker sets itself", () => {
  const adding: NamedPlugin<PreRequest> = named({
    preRequest: (request) => {
      request.upstreamHeaders.set("x-prefiller-host-port", "10.0.0.9:8000");
      request.upstreamHeaders.set("x-trace", "on");
      return undefined;
    },
  });
  const open = new OpenExchange({ plugins: [adding] });
  open.request(
    { model: "m" },
    {
      "x-request-id": "7",
      "X-Gateway-Destination-Endpoint": "6.6.6.6:80",
      "x-prefiller-host-port": "6.6.6.6:80",
      "x-encoder-hosts-ports": "6.6.6.6:80",
      "x-llm-d-inference-objective": "gold",
      "x-gateway-model-name-rewrite": "",
      authorization: "Bearer secret",
    },
  );
  const { set, remove } = open.sink.one("routed").request.headers;
  expect(set).toEqual([
    ["x-gateway-destination-endpoint", "127.0.0.1:8000,127.0.0.1:8001"],
    ["Content-Length", "13"],
    ["x-prefiller-host-port", "10.0.0.9:8000"],
    ["x-trace", "on"],
  ]);
  expect(remove.toSorted()).toEqual([
    "x-encoder-hosts-ports",
    "x-gateway-model-name-rewrite",
    "x-llm-d-inference-objective",
  ]);
});

test("control headers are removed from a request without a body, too", () => {
  const open = new OpenExchange();
  open.requestHeaders({ "x-data-parallel-host-port": "6.6.6.6:80", "x-request-id": "7" }, true);
  expect(open.sink.one("routed").request.headers.remove).toEqual(["x-data-parallel-host-port"]);
});

test("an empty body is sent as a body of no bytes, without a length", () => {
  const empty = parser({ parseRequest: () => buildBody({ model: undefined }) });
  const open = new OpenExchange({ parsers: [empty] });
  open.request("");
  const { request, body } = open.sink.one("routed");
  expect(request).toMatchObject({ bodyBytes: 0, hasBody: true, body: [] });
  expect(body).toBe("");
  expect(request.headers.set.map(([name]) => name)).not.toContain("Content-Length");
});

test("a rewritten model changes the body and its length", () => {
  const rewritten = new OpenExchange();
  rewritten.request('{ "model":"m" }', { "x-llm-d-model-name-rewrite": "m-v2" });
  expect(rewritten.sink.one("routed").body).toBe('{ "model":"m-v2" }');
  expect(new Map(rewritten.sink.one("routed").request.headers.set).get("Content-Length")).toBe("18");
  expect(rewritten.metrics.observations("llm_d_epp_request_size_bytes")).toEqual([18]);
});

test("a body whose model keeps its name is sent as it came", () => {
  const rewriteModel = () => expect.unreachable("rewrites a name by itself");
  const keeping = parser({ parseRequest: () => buildBody({ model: "m", rewriteModel }) });
  for (const headers of [{}, { "x-llm-d-model-name-rewrite": "m" }]) {
    const open = new OpenExchange({ parsers: [keeping] });
    open.request('{ "model":"m" }', headers);
    expect(open.sink.one("routed").body).toBe('{ "model":"m" }');
  }
});

test("a body that cannot be rewritten ends with 500", () => {
  const failing = parser({
    parseRequest: () =>
      buildBody({
        rewriteModel: () => {
          throw new Error("no such span");
        },
      }),
  });
  const open = new OpenExchange({ parsers: [failing] });
  open.request({ model: "m" }, { "x-llm-d-model-name-rewrite": "m-v2" });
  expect(open.sink.calls).toEqual([
    {
      call: "reply",
      reply: { status: 500, body: "inference error: Internal - Error marshalling request body", headers: [] },
    },
  ]);
});

test("scores of the primary profile come along when asked for, by destination", () => {
  const scorer = named<Scorer>({ score: (_request, _list, out) => out.set([0.25, 1]) });
  const asked = new OpenExchange({ plugins: [scorer], emitScores: true });
  asked.request();
  expect(asked.sink.one("routed").request.scores).toEqual({ "127.0.0.1:8000": 0.25, "127.0.0.1:8001": 1 });
  const silent = new OpenExchange({ plugins: [scorer] });
  silent.request();
  expect(silent.sink.one("routed").request.scores).toBeUndefined();
});

test("a parser may let the proxy skip the answer", () => {
  const skipping = parser({ parseRequest: () => buildBody({ skipResponse: true }) });
  const open = new OpenExchange({ parsers: [skipping] });
  open.request();
  expect(open.sink.one("routed").request.skipResponse).toBe(true);
});

test("a refusal on the way is answered with its status, reason and one line in the log", () => {
  const refusal = new RequestError("ResourceExhausted", "all are full", "rejected-saturated");
  const refusing: NamedPlugin<RequestHeaderProcessor> = named({ requestHeaders: () => refusal });
  const open = new OpenExchange({ plugins: [refusing] });
  open.request({ model: "m" }, { "x-request-id": "7" });
  expect(open.sink.one("reply").reply).toEqual({
    status: 429,
    body: "inference error: ResourceExhausted - all are full",
    headers: [["x-llm-d-request-dropped-reason", "rejected-saturated"]],
  });
  expect(open.logger.lines).toEqual([
    {
      level: "info",
      message: "request rejected",
      fields: { requestId: "7", code: "ResourceExhausted", reason: "rejected-saturated", problem: "all are full" },
    },
  ]);
});

test("as JSON, a reply is an error of OpenAI's API", () => {
  const open = new OpenExchange({ endpoints: [] }, { errorFormat: "json" });
  open.request();
  const { reply } = open.sink.one("reply");
  expect(reply.status).toBe(503);
  expect(JSON.parse(reply.body)).toEqual({
    error: {
      message: "failed to find endpoint candidates for serving the request",
      type: "ServiceUnavailable",
      param: null,
      code: 503,
    },
  });
  expect(reply.headers).toEqual([
    ["content-type", "application/json"],
    ["x-llm-d-request-dropped-reason", "rejected-no-endpoints"],
  ]);
});

test("a reply to an error without a reason has no headers", () => {
  expect(replyFor(new RequestError("NotFound", "none"))).toEqual({
    status: 404,
    body: "inference error: NotFound - none",
    headers: [],
  });
});

test("a body without headers before it is routed by the default path", () => {
  const open = new OpenExchange();
  open.requestBody({ model: "m" });
  expect(open.sink.one("routed").body).toBe('{"model":"m"}');
});

test("repeated request headers and a body after the end are ignored", () => {
  const open = new OpenExchange();
  open.request({ model: "m" }, { "x-request-id": "first" });
  open.requestHeaders({ "x-request-id": "second" }, true).requestBody({ model: "n" });
  expect(open.sink.calls).toHaveLength(1);
  expect(open.exchange.requestId).toBe("first");
});
