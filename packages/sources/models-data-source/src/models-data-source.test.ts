import type { PollingSource } from "@pointsman/core";
import { buildEndpoint, buildPlugin, pluginContract } from "@pointsman/testkit";
import { expect, test } from "vitest";
import plugin from "./index.ts";

pluginContract(plugin, { testFile: import.meta.url });

// The contract above has checked the role.
const build = (params: object = {}): PollingSource => buildPlugin(plugin, { params }).instance as PollingSource;

test("by default the list at the endpoint's metrics address is polled once a second", () => {
  const source = build();
  expect(source.pollTarget(buildEndpoint(0, { address: "10.0.0.7", port: 8000 }))).toEqual({
    scheme: "http",
    host: "10.0.0.7",
    port: 8000,
    path: "/v1/models",
  });
  expect(source).toMatchObject({ payload: "openai-models", intervalMs: 1000, maxBodyBytes: 1024 * 1024 });
});

test("path, interval and TLS are as configured", () => {
  const source = build({ scheme: "https", path: "/api/models", interval: "5s", insecureSkipVerify: false });
  expect(source.pollTarget(buildEndpoint(0))).toMatchObject({ scheme: "https", path: "/api/models" });
  expect(source).toMatchObject({ intervalMs: 5000, tls: { insecureSkipVerify: false } });
});

test.each([{ port: 8000 }, { path: "models" }, { interval: "soon" }, { scheme: "ftp" }])("%j is refused", (params) => {
  expect(() => build(params)).toThrow();
});

test.each([
  ['{"data":[]}', undefined],
  [' \r\n\t{"data":[]}', undefined],
  ["", /no JSON object/],
  ["[]", /no JSON object/],
  ["<html>", /no JSON object/],
])("the answer %j is judged by its beginning", (text, problem) => {
  const complaint = build().checkPayload?.(Buffer.from(text));
  if (problem === undefined) expect(complaint).toBeUndefined();
  else expect(complaint).toMatch(problem);
});
