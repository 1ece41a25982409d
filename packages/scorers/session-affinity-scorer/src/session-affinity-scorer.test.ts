import type { Endpoint, SchedulingResult } from "@pointsman/core";
import {
  buildEndpoint,
  buildPlugin,
  buildRequest,
  monotoneIn,
  pluginContract,
  type RequestOptions,
  scorerContract,
} from "@pointsman/testkit";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import sessionAffinityScorer from "./index.ts";

const remembered = {
  strategy: "session_id",
  sessionIdConfig: { sources: [{ attribute: "agent-identity" }, { header: "x-session-id" }] },
};
const tokenOf = (id: string): string => Buffer.from(id).toString("base64");
const withToken = (token: string): RequestOptions => ({ headers: { "x-session-token": token, "x-session-id": token } });

function chosen(target: Endpoint): SchedulingResult {
  const decode = { targets: [target], candidates: [target], totals: Float64Array.of(1) };
  return { primaryProfile: "decode", profiles: new Map([["decode", decode]]) };
}

describe.each([{}, remembered])("%j", (params) => {
  pluginContract(sessionAffinityScorer, {
    testFile: import.meta.url,
    params,
    exercise: ({ instance }) => {
      for (let slot = 0; slot < 300; slot++) {
        const request = buildRequest(withToken("s".repeat(slot)));
        instance.score!(request, [buildEndpoint(slot)], new Float64Array(1));
        instance.preRequest?.(request, chosen(buildEndpoint(slot)));
      }
    },
  });
  scorerContract(sessionAffinityScorer, {
    params,
    request: (endpoints) =>
      fc.oneof(fc.constantFrom(...endpoints.map(({ id }) => tokenOf(id))), fc.string({ maxLength: 12 })).map(withToken),
  });
});
monotoneIn(sessionAffinityScorer, {
  name: "token that names the endpoint",
  request: (endpoints, index) => fc.constant([{}, withToken(tokenOf(endpoints[index]!.id))] as const),
});

const endpoints = [0, 1, 2].map((slot) => buildEndpoint(slot));

function scores(instance: ReturnType<typeof buildPlugin>["instance"], request = buildRequest()): readonly number[] {
  const out = new Float64Array(endpoints.length).fill(0.7);
  instance.score!(request, endpoints, out);
  return [...out];
}

// Source: spec scheduling-plugins A8.
test("the endpoint whose token the client sends scores 1, all others 0", () => {
  const { instance } = buildPlugin(sessionAffinityScorer);
  expect(scores(instance, buildRequest(withToken(tokenOf("default/server-1"))))).toEqual([0, 1, 0]);
  expect(scores(instance, buildRequest(withToken("no token")))).toEqual([0, 0, 0]);
  expect(scores(instance)).toEqual([0, 0, 0]);
});

test("the endpoint a session was sent to scores 1 from then on", () => {
  const { instance } = buildPlugin(sessionAffinityScorer, { params: remembered, endpoints: () => endpoints });
  const first = buildRequest({ headers: { "x-session-id": "s" } });
  expect(scores(instance, first)).toEqual([0, 0, 0]);
  instance.preRequest!(first, chosen(endpoints[2]!));
  expect(scores(instance, buildRequest({ headers: { "x-session-id": "s" } }))).toEqual([0, 0, 1]);
});

test("parameters are checked", () => {
  expect(() => buildPlugin(sessionAffinityScorer, { params: { strategy: "" } })).toThrow("strategy: must be one of");
});
