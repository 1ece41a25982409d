import type { PollingSource } from "@pointsman/core";
import { buildEndpoint, buildPlugin, pluginContract } from "@pointsman/testkit";
import { expect, test } from "vitest";
import plugin from "./index.ts";

pluginContract(plugin, { testFile: import.meta.url });

// The contract above has checked the role.
const build = (params: object = {}): PollingSource => buildPlugin(plugin, { params }).instance as PollingSource;

test("by default the exporter beside the server is polled once a second", () => {
  const source = build();
  expect(source.pollTarget(buildEndpoint(0, { address: "10.0.0.7" }))).toEqual({
    scheme: "http",
    host: "10.0.0.7",
    port: 9400,
    path: "/metrics",
  });
  expect(source).toMatchObject({ payload: "prometheus-text", intervalMs: 1000 });
});

test("with useNodeAddress the node's exporter is polled, where the node is known", () => {
  const source = build({ useNodeAddress: true, port: 9500 });
  const endpoint = buildEndpoint(0, { address: "10.0.0.7" });
  expect(source.pollTarget(endpoint)).toMatchObject({ host: "10.0.0.7", port: 9500 });
  endpoint.update({ ...endpoint.metadata, nodeAddress: "192.168.0.1" });
  expect(source.pollTarget(endpoint)).toMatchObject({ host: "192.168.0.1", port: 9500 });
  endpoint.update({ ...endpoint.metadata, nodeAddress: "" });
  expect(source.pollTarget(endpoint)).toMatchObject({ host: "10.0.0.7" });
});

test("port 0 stands for the endpoint's metrics address", () => {
  const endpoint = buildEndpoint(0);
  endpoint.update({ ...endpoint.metadata, metricsHost: "10.0.0.8:9100" });
  expect(build({ port: 0 }).pollTarget(endpoint)).toMatchObject({ host: "10.0.0.8", port: 9100 });
});

test.each([
  [{ useNodeAddress: true, port: 0 }, /useNodeAddress: needs a port/],
  [{ port: 65_536 }, /port: /],
  [{ caCertPath: "ca.pem" }, /caCertPath/],
])("%j is refused", (params, message) => {
  expect(() => build(params)).toThrow(message);
});

test("a page that is no metrics page is complained of", () => {
  expect(build().checkPayload?.(Buffer.from("<html></html>"))).toMatch(/HTML/);
  expect(build().checkPayload?.(Buffer.from("up 1\n"))).toBeUndefined();
});
