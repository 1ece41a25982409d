import { AGENT_IDENTITY, Exchange, type ExchangeSink, Headers } from "@pointsman/core";
import { buildEndpoint, buildPlugin, buildRequest, buildRouter, named, pluginContract } from "@pointsman/testkit";
import fc from "fast-check";
import { expect, test } from "vitest";
import { identityOf } from "./agent-identity.ts";
import agentIdentity from "./index.ts";

pluginContract(agentIdentity, { testFile: import.meta.url, params: { additionalSessionHeaders: ["X-Tool"] } });

function identity(headers: Readonly<Record<string, string>>, params: unknown = {}): string | undefined {
  const { instance } = buildPlugin(agentIdentity, { params });
  const request = buildRequest({ headers });
  expect(instance.requestHeaders!(request)).toBeUndefined();
  return request.attributes.get(AGENT_IDENTITY);
}

// Source: spec scheduling-plugins F8.
const order = ["x-claude-code-session-id", "x-session-affinity", "session-id", "session_id"];

test("the usual headers are tried in their order", () => {
  order.forEach((_, first) => {
    const headers = Object.fromEntries(order.slice(first).map((name) => [name, `by ${name}`]));
    expect(identity(headers)).toBe(`by ${order[first]}`);
  });
});

test("additional headers are tried first, in any case", () => {
  const params = { additionalSessionHeaders: ["X-Tool", "x-other"] };
  expect(identity({ "session-id": "s", "x-other": "o", "x-tool": "t" }, params)).toBe("t");
  expect(identity({ "session-id": "s", "x-other": "o" }, params)).toBe("o");
  expect(identity({ "session-id": "s" }, params)).toBe("s");
});

test("headers that are empty, blank or longer than 1,024 characters are passed over", () => {
  expect(identity({ [order[0]!]: "", [order[1]!]: "  ", [order[2]!]: "x".repeat(1025), [order[3]!]: " last " })).toBe(
    "last",
  );
});

test("without such a header nothing is written", () => {
  expect(identity({ "x-request-id": "1" })).toBeUndefined();
});

test("the identity is the first value that says something, whatever the headers hold", () => {
  const values = fc.oneof(fc.constantFrom(undefined, "", " "), fc.string());
  fc.assert(
    fc.property(fc.array(values, { maxLength: 5 }), (list) => {
      const names = list.map((_, i) => `h${i}`);
      const headers = new Headers();
      list.forEach((value, i) => {
        if (value !== undefined) headers.append(names[i]!, value);
      });
      expect(identityOf(headers, names)).toBe(list.map((value) => value?.trim()).find((value) => (value ?? "") !== ""));
    }),
  );
});

const silentSink: ExchangeSink = {
  routed: () => {},
  reply: () => {},
  requestTrailers: () => {},
  responseHeaders: () => {},
  responseBody: () => {},
  responseTrailers: () => {},
};

test.each([
  { name: "the identity", headers: [["session-id", "s"]] as const, fairnessId: "s" },
  {
    name: "what the client names",
    headers: [
      ["session-id", "s"],
      ["x-llm-d-inference-fairness-id", "team"],
    ] as const,
    fairnessId: "team",
  },
  { name: "the default without either", headers: [] as const, fairnessId: "default-flow" },
])("the fairness id is $name", ({ headers, fairnessId }) => {
  const { instance } = buildPlugin(agentIdentity);
  const { router } = buildRouter({ endpoints: [buildEndpoint(0)], plugins: [named(instance, "agent-identity")] });
  const exchange = new Exchange(router, silentSink);
  exchange.requestHeaders(Headers.from([[":path", "/v1/completions"], ...headers]), false, {});
  exchange.requestBody(Buffer.from('{"model":"m"}'), true, {});
  expect(exchange.request?.fairnessId).toBe(fairnessId);
  exchange.close("error");
});

test.each([
  { params: { additionalSessionHeaders: ["a b"] }, problem: "must be the name of a header" },
  { params: { additionalSessionHeaders: [""] }, problem: "must be the name of a header" },
  { params: { additionalSessionHeaders: "x" }, problem: "additionalSessionHeaders" },
  { params: { additionalSessionHeaders: new Array<string>(101).fill("x") }, problem: "additionalSessionHeaders" },
  { params: { headers: [] }, problem: "headers" },
])("$params is refused", ({ params, problem }) => {
  expect(() => buildPlugin(agentIdentity, { params })).toThrow(problem);
});
