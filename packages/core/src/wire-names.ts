/** Names of headers and metadata on the wire. Source: spec ext-proc section 2. */
export const wireNames = {
  destination: "x-gateway-destination-endpoint",
  destinationSubset: "x-gateway-destination-endpoint-subset",
  destinationServed: "x-gateway-destination-endpoint-served",
  destinationScores: "x-gateway-destination-endpoint-scores",
  lbNamespace: "envoy.lb",
  subsetNamespace: "envoy.lb.subset_hint",
  requestId: "x-request-id",
  dropReason: "x-llm-d-request-dropped-reason",
  wentIntoResponseHeaders: "x-went-into-resp-headers",
  prefillHostPort: "x-prefiller-host-port",
  encoderHostPorts: "x-encoder-hosts-ports",
  dataParallelHostPort: "x-data-parallel-host-port",
  kvSourceHostPort: "x-kv-cache-source-host-port",
} as const;

/** A header with its deprecated alias. The current name wins when present at all, even if empty. */
export const aliasedHeaders = {
  objective: ["x-llm-d-inference-objective", "x-gateway-inference-objective"],
  fairnessId: ["x-llm-d-inference-fairness-id", "x-gateway-inference-fairness-id"],
  modelRewrite: ["x-llm-d-model-name-rewrite", "x-gateway-model-name-rewrite"],
  sloTtftMs: ["x-llm-d-slo-ttft-ms", "x-slo-ttft-ms"],
  sloTpotMs: ["x-llm-d-slo-tpot-ms", "x-slo-tpot-ms"],
} as const;

/**
 * Headers that steer the endpoint picker or the sidecar. When a client sends one, it is removed before the request
 * reaches a model server, unless the picker sets it itself.
 */
export const controlHeaders: ReadonlySet<string> = new Set<string>([
  wireNames.destination,
  wireNames.destinationSubset,
  wireNames.destinationServed,
  wireNames.dropReason,
  wireNames.prefillHostPort,
  wireNames.encoderHostPorts,
  wireNames.dataParallelHostPort,
  wireNames.kvSourceHostPort,
  ...aliasedHeaders.objective,
  ...aliasedHeaders.fairnessId,
  ...aliasedHeaders.modelRewrite,
  ...aliasedHeaders.sloTtftMs,
  ...aliasedHeaders.sloTpotMs,
  "x-llm-d-video-fps",
  "x-llm-d-video-duration-seconds",
  "x-llm-d-video-resolution",
]);
