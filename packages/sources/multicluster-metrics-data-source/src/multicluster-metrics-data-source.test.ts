import type { PollingSource } from "@pointsman/core";
import { buildEndpoint, buildPlugin, pluginContract } from "@pointsman/testkit";
import { expect, test } from "vitest";
import plugin from "./index.ts";

pluginContract(plugin, { testFile: import.meta.url });

// The contract above has checked the role.
const build = (params: object = {}): PollingSource => buildPlugin(plugin, { params }).instance as PollingSource;

test("by default the picker's page is polled twice a second over verified TLS", () => {
  const endpoint = buildEndpoint(0, { address: "gw.east.example", port: 443 });
  endpoint.update({ ...endpoint.metadata, metricsHost: "epp.east.example:9090" });
  const source = build();
  expect(source.pollTarget(endpoint)).toEqual({
    scheme: "https",
    host: "epp.east.example",
    port: 9090,
    path: "/metrics",
  });
  expect(source).toMatchObject({ intervalMs: 500, maxBodyBytes: 8 * 1024 * 1024, tls: { insecureSkipVerify: false } });
});

test("a port applies to the endpoint's own address", () => {
  const endpoint = buildEndpoint(0, { address: "gw.east.example", port: 443 });
  expect(build({ port: 9091, scheme: "http" }).pollTarget(endpoint)).toMatchObject({
    scheme: "http",
    host: "gw.east.example",
    port: 9091,
  });
});

test("a page that is no metrics page is complained of", () => {
  expect(build().checkPayload?.(Buffer.from('{"detail":"unauthorized"}'))).toMatch(/neither comment nor sample/);
});
