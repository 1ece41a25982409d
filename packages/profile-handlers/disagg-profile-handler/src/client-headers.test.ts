import { Exchange, Headers, type RoutedRequest } from "@pointsman/core";
import { buildEndpoint, buildPlugin, buildRouter, named } from "@pointsman/testkit";
import { expect, test } from "vitest";
import disaggProfileHandler from "./index.ts";

const fromClient: readonly (readonly [string, string])[] = [
  ["x-prefiller-host-port", "203.0.113.9:1"],
  ["x-prefiller-host-port", "203.0.113.9:2"],
  ["X-Encoder-Hosts-Ports", "203.0.113.9:3"],
];

/** Sends a request through the whole picker; the one profile there is called `default`. */
function route(params: unknown): RoutedRequest["headers"] {
  const pd = { disaggregate: () => true };
  const { instance } = buildPlugin(disaggProfileHandler, { params, plugins: { pd } });
  const { router } = buildRouter({ endpoints: [buildEndpoint(0)], plugins: [named(instance, "handler")] });
  const routed: RoutedRequest[] = [];
  const unexpected = (): never => {
    throw new Error("only a routed request is expected");
  };
  const exchange = new Exchange(router, {
    routed: (request) => routed.push(request),
    reply: unexpected,
    requestTrailers: unexpected,
    responseHeaders: unexpected,
    responseBody: unexpected,
    responseTrailers: unexpected,
  });
  exchange.requestHeaders(Headers.from([[":path", "/v1/completions"], ...fromClient]), false, {});
  exchange.requestBody(Buffer.from('{"model":"m"}'), true, {});
  exchange.close("client-disconnect");
  return routed[0]!.headers;
}

test("what a client says about prefill and encode endpoints does not reach the sidecar", () => {
  const { set, remove } = route({ profiles: { decode: "default" } });
  expect(remove.toSorted()).toEqual(["x-encoder-hosts-ports", "x-prefiller-host-port"]);
  expect(set.map(([name]) => name)).not.toContain("x-prefiller-host-port");
});
