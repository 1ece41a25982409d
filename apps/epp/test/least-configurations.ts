/** The least that a configuration says to create a plugin of one type. */
export interface LeastConfiguration {
  /** As YAML. */
  readonly parameters?: string;
  /** Plugins that it cannot be without, as YAML list items. */
  readonly beside?: readonly string[];
  /** Names of scheduling profiles. */
  readonly profiles?: readonly string[];
  /** The type that a former name stands for. */
  readonly means?: string;
}

const scalar = `{ type: core-metrics-extractor, parameters: { engineConfigs: [{ name: mine, customMetrics: [{ attributeKey: Heat, metricSpec: gpu_heat }] }] } }`;

/**
 * Every plugin type of the Go picker, with the least that creates it. Absent are those of later versions: policies of flow
 * control, and the precise prefix cache.
 */
export const leastConfigurations: Readonly<Record<string, LeastConfiguration>> = {
  "active-request-scorer": {},
  "agent-identity": {},
  "always-disagg-multimodal-decider": {},
  "always-disagg-pd-decider": {},
  "anthropic-parser": {},
  "approx-prefix-cache-producer": {},
  "burst-prefix-cache-producer": {},
  "by-label": { parameters: "{ label: tier, validValues: [gold] }" },
  "by-label-selector": { parameters: "{ matchLabels: { tier: gold } }", means: "label-selector-filter" },
  "concurrency-detector": {},
  "context-length-aware": {},
  "core-metrics-extractor": {},
  "data-parallel-profile-handler": {},
  "dcgm-data-source": {},
  "dcgm-extractor": {},
  "decode-filter": {},
  "destination-endpoint-served-verifier": {},
  "disagg-headers-handler": {},
  "disagg-profile-handler": { profiles: ["decode", "prefill"] },
  "disaggregatedset-rollout-screener": {
    parameters:
      "{ scope: { labelSelector: app=llm }, revisionGating: { mode: sum, requireRoles: { values: [decode] } }, headerSelectors: [{ name: revision, headerName: x-revision, labelKey: revision, mode: strict }] }",
  },
  "encode-filter": {},
  "endpoint-attribute-filter": {
    parameters: "{ attribute: Heat, algorithm: { type: threshold, threshold: { operator: LessThan, value: 80 } } }",
    beside: [scalar],
  },
  "endpoint-attribute-scorer": {
    parameters: "{ attributeKey: Heat, algorithm: { type: linear_lower_is_better } }",
    beside: [scalar],
  },
  "endpoint-notification-source": {},
  "file-discovery": { parameters: "{ path: endpoints.yaml }" },
  "header-based-testing-filter": {},
  "header-label-affinity-scorer": { parameters: "{ headerName: x-tier, labelKey: tier }" },
  "header-profile-handler": {},
  "inflight-load-producer": {},
  "k8s-notification-source": { parameters: "{ version: v1, kind: Pod }" },
  "kv-cache-utilization-scorer": {},
  "label-selector-filter": {},
  "latency-scorer": {},
  "latency-slo-admitter": {},
  "load-aware-scorer": {},
  "lora-affinity-scorer": {},
  "max-score-picker": {},
  "metrics-data-source": {},
  "mm-embeddings-cache-producer": {},
  "mm-embeddings-cache-scorer": {},
  "models-data-extractor": {},
  "models-data-source": {},
  "multicluster-approx-prefix-cache-producer": {},
  "multicluster-file-discovery": { parameters: "{ path: clusters.yaml }" },
  "multicluster-kv-cache-utilization-scorer": { beside: ["{ type: multicluster-metrics-extractor }"] },
  "multicluster-metrics-data-source": {},
  "multicluster-metrics-extractor": {},
  "multicluster-prefix-cache-scorer": {},
  "multicluster-queue-scorer": { beside: ["{ type: multicluster-metrics-extractor }"] },
  "multicluster-session-affinity-filter": {},
  "no-hit-lru-scorer": {},
  "openai-parser": {},
  "p2p-source-producer": {},
  "passthrough-parser": {},
  "pd-profile-handler": { beside: ["{ type: prefix-based-pd-decider }"], profiles: ["decode", "prefill"] },
  "predicted-latency-producer": {},
  "prefill-filter": {},
  "prefill-header-handler": { means: "disagg-headers-handler" },
  "prefix-based-pd-decider": {},
  "prefix-cache-affinity-filter": {},
  "prefix-cache-scorer": {},
  "probabilistic-admitter": {},
  "queue-scorer": {},
  "random-picker": {},
  "request-attribute-reporter": {
    parameters: "{ attributes: [{ key: { name: cost }, expression: usage.completion_tokens }] }",
  },
  "running-requests-size-scorer": {},
  "session-affinity-filter": {},
  "session-affinity-scorer": {},
  "session-id-producer": { parameters: "{ headerName: x-session-id }" },
  "sglanghttp-parser": {},
  "single-profile-handler": {},
  "slo-headroom-tier-filter": {},
  "token-load-scorer": {},
  "token-producer": {},
  tokenizer: { means: "token-producer" },
  "topology-affinity-filter": {},
  "topology-affinity-scorer": {},
  "topology-extractor": {},
  "utilization-detector": {},
  "utilization-filter": { parameters: "{ conditions: [{ metric: waiting-queue, maxValue: 5 }] }" },
  "vertexai-parser": {},
  "vllmgrpc-parser": {},
  "vllmhttp-parser": {},
  "weighted-random-picker": {},
};

/** The configuration as a document, with the plugin looked at first. */
export function leastConfigurationText(type: string, each: LeastConfiguration = {}): string {
  const { parameters, beside = [], profiles = [] } = each;
  const item = `{ type: ${type}${parameters === undefined ? "" : `, parameters: ${parameters}`} }`;
  const list = (items: readonly string[]): string => items.map((line) => `  - ${line}\n`).join("");
  const scheduling =
    profiles.length === 0
      ? ""
      : `schedulingProfiles:\n${list(profiles.map((name) => `{ name: ${name}, plugins: [] }`))}`;
  return `plugins:\n${list([item, ...beside])}${scheduling}`;
}
