import { Headers, type MetadataObject } from "@pointsman/core";
import { buildEndpoint, buildPlugin, buildRequest, pluginContract } from "@pointsman/testkit";
import fc from "fast-check";
import { expect, test } from "vitest";
import { servedEndpointReport } from "./destination-endpoint-served-verifier.ts";
import destinationEndpointServedVerifier from "./index.ts";

const served = "x-gateway-destination-endpoint-served";

pluginContract(destinationEndpointServedVerifier, { testFile: import.meta.url });

// Source: spec ext-proc section 12.
test.each([
  { name: "the endpoint", metadata: { "envoy.lb": { [served]: "10.0.0.1:8000" } }, header: "10.0.0.1:8000" },
  { name: "nothing from the proxy", metadata: {}, header: "fail: missing envoy lb metadata" },
  { name: "another namespace", metadata: { envoy: { [served]: "x" } }, header: "fail: missing envoy lb metadata" },
  { name: "a namespace that is a list", metadata: { "envoy.lb": [] }, header: "fail: missing envoy lb metadata" },
  {
    name: "a namespace without the endpoint",
    metadata: { "envoy.lb": {} },
    header: "fail: missing destination endpoint served metadata",
  },
  {
    name: "an endpoint that is no text",
    metadata: { "envoy.lb": { [served]: 8000 } },
    header: "fail: missing destination endpoint served metadata",
  },
] as { name: string; metadata: MetadataObject; header: string }[])(
  "$name is told to the client",
  ({ metadata, header }) => {
    const { instance } = buildPlugin(destinationEndpointServedVerifier);
    const setHeaders = new Map<string, string>();
    const target = buildEndpoint(0);
    const profile = { targets: [target], candidates: [target], totals: Float64Array.of(1) };
    instance.responseHeaders!(
      buildRequest(),
      { primaryProfile: "default", profiles: new Map([["default", profile]]) },
      { headers: new Headers(), status: 200, servedBy: undefined, proxyMetadata: metadata, setHeaders },
    );
    expect([...setHeaders]).toEqual([["x-conformance-test-served-endpoint", header]]);
  },
);

test("whatever the proxy sends, the report is a text", () => {
  const values = fc.oneof(fc.jsonValue(), fc.record({ [served]: fc.jsonValue() }));
  fc.assert(
    fc.property(fc.record({ "envoy.lb": values }), (metadata) => {
      // JSON is metadata.
      expect(typeof servedEndpointReport(metadata as MetadataObject)).toBe("string");
    }),
  );
});
