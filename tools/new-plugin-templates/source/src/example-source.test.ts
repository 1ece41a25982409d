import { hasRole } from "@pointsman/core";
import { buildEndpoint, buildPlugin, pluginContract } from "@pointsman/testkit";
import { expect, test } from "vitest";
import exampleSource from "./index.ts";

pluginContract(exampleSource, { testFile: import.meta.url });

const { instance } = buildPlugin(exampleSource, { params: { path: "/metrics?detail=1" } });
if (!hasRole(instance, "pollingSource")) throw new Error("example-source is no source");
const source = instance;

test("each endpoint is polled at its own address and the exporter's port", () => {
  const endpoint = buildEndpoint(0, { address: "10.0.0.7", port: 8000 });
  expect(source.pollTarget(endpoint)).toEqual({
    scheme: "http",
    host: "10.0.0.7",
    port: 9400,
    path: "/metrics?detail=1",
  });
});

test("a page of another kind is complained of, a metrics page is not", () => {
  expect(source.checkPayload!(Buffer.from("gpu_power_watts 310\n"))).toBeUndefined();
  expect(source.checkPayload!(Buffer.from("<html><body>Not found</body></html>"))).toEqual(expect.any(String));
});

test.each([{ port: 0 }, { port: 70_000 }, { path: "metrics" }, { path: "/a b" }])(
  "parameters %j are refused",
  (params) => {
    expect(() => buildPlugin(exampleSource, { params })).toThrow(Object.keys(params)[0]!);
  },
);
