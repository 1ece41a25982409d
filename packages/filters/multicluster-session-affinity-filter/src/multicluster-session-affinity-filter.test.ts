import type { Endpoint, SchedulingResult } from "@pointsman/core";
import { buildEndpoint, buildPlugin, buildRequest, filterContract, pluginContract } from "@pointsman/testkit";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import multiclusterSessionAffinityFilter from "./index.ts";

const remembered = {
  strategy: "session_id",
  sessionIdConfig: { sources: [{ header: "x-session-id" }, { attribute: "agent-identity" }] },
};
const tokenOf = (id: string): string => Buffer.from(id).toString("base64");

function chosen(target: Endpoint): SchedulingResult {
  const decode = { targets: [target], candidates: [target], totals: Float64Array.of(1) };
  return { primaryProfile: "decode", profiles: new Map([["decode", decode]]) };
}

describe.each([{}, remembered])("%j", (params) => {
  pluginContract(multiclusterSessionAffinityFilter, {
    testFile: import.meta.url,
    params,
    exercise: ({ instance }) => {
      for (let slot = 0; slot < 300; slot++) {
        const request = buildRequest({ headers: { "x-session-id": "s".repeat(slot) } });
        instance.filter!(request, [buildEndpoint(slot)]);
        instance.preRequest?.(request, chosen(buildEndpoint(slot)));
      }
    },
  });
  filterContract(multiclusterSessionAffinityFilter, {
    params,
    request: (endpoints) =>
      fc
        .oneof(fc.constantFrom(...endpoints.map(({ id }) => tokenOf(id))), fc.string({ maxLength: 12 }))
        .map((value) => ({ headers: { "x-session-token": value, "x-session-id": value } })),
  });
});

const endpoints = [0, 1, 2].map((slot) => buildEndpoint(slot));

test("the endpoint whose token the client sends stays alone, all stay for any other token", () => {
  const { instance } = buildPlugin(multiclusterSessionAffinityFilter);
  const kept = (token: string) => instance.filter!(buildRequest({ headers: { "x-session-token": token } }), endpoints);
  expect(kept(tokenOf("default/server-1"))).toEqual([endpoints[1]]);
  expect(kept(tokenOf("default/server-9"))).toBe(endpoints);
  expect(kept("no token")).toBe(endpoints);
});

test("the endpoint a session was sent to stays alone from then on", () => {
  const { instance } = buildPlugin(multiclusterSessionAffinityFilter, {
    params: remembered,
    endpoints: () => endpoints,
  });
  const inSession = () => buildRequest({ headers: { "x-session-id": "s" } });
  const first = inSession();
  expect(instance.filter!(first, endpoints)).toBe(endpoints);
  instance.preRequest!(first, chosen(endpoints[2]!));
  for (let i = 0; i < 10; i++) expect(instance.filter!(inSession(), endpoints)).toEqual([endpoints[2]]);
  expect(instance.filter!(buildRequest(), endpoints)).toBe(endpoints);
});

test("each strategy takes the hooks it needs", () => {
  const token = buildPlugin(multiclusterSessionAffinityFilter).instance;
  expect([token.preRequest, token.endpointChanged, token.dumpState]).toEqual([undefined, undefined, undefined]);
  expect(
    buildPlugin(multiclusterSessionAffinityFilter, { params: remembered }).instance.responseHeaders,
  ).toBeUndefined();
});

test("parameters are checked", () => {
  expect(() => buildPlugin(multiclusterSessionAffinityFilter, { params: { strategy: "" } })).toThrow(
    "strategy: must be one of",
  );
});
