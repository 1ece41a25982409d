import { type Endpoint, Headers, type SchedulingResult } from "@pointsman/core";
import { buildEndpoint, buildPlugin, buildRequest, pluginContract } from "@pointsman/testkit";
import { expect, test } from "vitest";
import exampleResponseProcessor from "./index.ts";

pluginContract(exampleResponseProcessor, { testFile: import.meta.url });

/** Headers that are set for an answer to a request that went to `target`. */
function headersFor(target: Endpoint | undefined, params: unknown = {}): Record<string, string> {
  const { instance } = buildPlugin(exampleResponseProcessor, { params });
  const setHeaders = new Map<string, string>();
  const targets = target === undefined ? [] : [target];
  const result: SchedulingResult = {
    primaryProfile: "default",
    profiles: new Map(
      target === undefined ? [] : [["default", { targets, candidates: targets, totals: new Float64Array(1) }]],
    ),
  };
  const event = { headers: new Headers(), status: 200, servedBy: undefined, proxyMetadata: {}, setHeaders };
  instance.responseHeaders!(buildRequest(), result, event);
  return Object.fromEntries(setHeaders);
}

test("the answer names the picked endpoint", () => {
  expect(headersFor(buildEndpoint(0, { name: "vllm-0" }))).toEqual({ "x-picked-endpoint": "vllm-0" });
});

test("another header is used as given, in lower case", () => {
  expect(headersFor(buildEndpoint(0, { name: "vllm-0" }), { headerName: "X-Server" })).toEqual({
    "x-server": "vllm-0",
  });
});

test("without a pick nothing is set", () => {
  expect(headersFor(undefined)).toEqual({});
});

test("a name that is no header's is refused", () => {
  expect(() => buildPlugin(exampleResponseProcessor, { params: { headerName: "a b" } })).toThrow("headerName");
});
