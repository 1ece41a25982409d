import { expect, test } from "vitest";
import { OpenExchange } from "../../test/open-exchange.ts";
import { buildEndpoint, jsonTestParser, named } from "../../test/testkit.ts";

const nobodyReads = { readsRequestBodies: false, readsResponses: false };

test("bodies that nobody reads pass unparsed, whatever they hold", () => {
  const open = new OpenExchange({}, { readsRequestBodies: false });
  open.request("no JSON at all", { "x-llm-d-inference-objective": "gold" });
  const { request } = open.sink.one("routed");
  expect(Buffer.concat(request.body).toString()).toBe("no JSON at all");
  expect(new Map(request.headers.set).get("Content-Length")).toBe("14");
  expect(open.exchange.request?.incomingModel).toBe("");
  expect(open.metrics.observations("llm_d_epp_plugin_duration_seconds", { extension_point: "RequestParsing" })).toEqual(
    [],
  );
});

test("a path that no parser claims is refused also when nobody reads the body", () => {
  const open = new OpenExchange({}, nobodyReads);
  open.request("{}", { ":path": "/v2/nothing" });
  expect(open.sink.one("reply").reply.status).toBe(400);
});

test("a rewrite header has its body parsed and rewritten all the same, and its answer seen", () => {
  const open = new OpenExchange({}, nobodyReads);
  open.request({ model: "m" }, { "x-llm-d-model-name-rewrite": "tuned" });
  const { request } = open.sink.one("routed");
  expect(Buffer.concat(request.body).toString()).toBe('{"model":"tuned"}');
  expect(request.skipResponse).toBe(false);
});

test("answers that nobody reads are skipped, with and without a body before them", () => {
  const open = new OpenExchange({}, { readsResponses: false });
  open.request({ model: "m" });
  expect(open.sink.one("routed").request.skipResponse).toBe(true);
  const bodyless = new OpenExchange({ endpoints: [buildEndpoint(0)] }, { readsResponses: false });
  bodyless.requestHeaders({}, true);
  expect(bodyless.sink.one("routed").request.skipResponse).toBe(true);
});

test("by default bodies are parsed and answers seen", () => {
  let parses = 0;
  const counting = {
    ...jsonTestParser,
    parseRequest: (...args: Parameters<typeof jsonTestParser.parseRequest>) => {
      parses++;
      return jsonTestParser.parseRequest(...args);
    },
  };
  const open = new OpenExchange({ parsers: [named(counting, "counting-parser")] });
  open.request({ model: "m" });
  expect(parses).toBe(1);
  expect(open.sink.one("routed").request.skipResponse).toBe(false);
});
