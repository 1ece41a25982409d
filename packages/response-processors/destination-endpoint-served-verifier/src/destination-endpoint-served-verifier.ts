import { type AnyPluginDefinition, definePlugin, type MetadataObject, wireNames } from "@pointsman/core";

const headerName = "x-conformance-test-served-endpoint";

/** What a conformance test wants to read: the endpoint that served, or what the proxy left out. Never throws. */
export function servedEndpointReport(proxyMetadata: MetadataObject): string {
  const namespace = proxyMetadata[wireNames.lbNamespace];
  if (typeof namespace !== "object" || namespace === null || Array.isArray(namespace)) {
    return "fail: missing envoy lb metadata";
  }
  // Neither null nor a list: an object of metadata.
  const served = (namespace as MetadataObject)[wireNames.destinationServed];
  return typeof served === "string" ? served : "fail: missing destination endpoint served metadata";
}

export const destinationEndpointServedVerifier: AnyPluginDefinition = definePlugin({
  type: "destination-endpoint-served-verifier",
  kind: "response-processor",
  stability: "beta",
  summary: "Sets a response header that tells which endpoint the proxy says has served; for conformance tests.",
  create: () => ({
    responseHeaders(_request, _result, { proxyMetadata, setHeaders }) {
      setHeaders.set(headerName, servedEndpointReport(proxyMetadata));
    },
  }),
});
