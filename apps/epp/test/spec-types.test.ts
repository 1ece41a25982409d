import { formatProblem, loadConfig } from "@pointsman/config";
import { noMetrics, silentLogger } from "@pointsman/core";
import { FakeClock } from "@pointsman/testkit";
import { expect, test } from "vitest";
import { builtinPlugins } from "../src/registry/builtins.gen.ts";
import { PluginRegistry } from "../src/registry/plugin-registry.ts";

/** Plugins of a configuration beside the one that is looked at, as YAML list items. */
interface Case {
  readonly parameters?: string;
  readonly beside?: readonly string[];
  readonly profiles?: readonly string[];
  /** The type that a former name stands for. */
  readonly means?: string;
}

const scalar = `{ type: core-metrics-extractor, parameters: { engineConfigs: [{ name: mine, customMetrics: [{ attributeKey: Heat, metricSpec: gpu_heat }] }] } }`;

/**
 * Every plugin type of the Go picker, with the least that creates it. Absent are those of later versions: policies of flow
 * control, and the precise prefix cache.
 */
const types: Readonly<Record<string, Case>> = {
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

test.each(Object.entries(types))("%s is created from a least configuration", async (type, each) => {
  const { parameters, beside = [], profiles = [], means = type } = each;
  const item = `{ type: ${type}${parameters === undefined ? "" : `, parameters: ${parameters}`} }`;
  const list = (items: readonly string[]): string => items.map((line) => `  - ${line}\n`).join("");
  const scheduling =
    profiles.length === 0
      ? ""
      : `schedulingProfiles:\n${list(profiles.map((name) => `{ name: ${name}, plugins: [] }`))}`;
  const text = `plugins:\n${list([item, ...beside])}${scheduling}`;
  const clock = new FakeClock();
  const { problems, graph } = await loadConfig(
    { text, file: "epp.yaml", baseDirectory: import.meta.dirname },
    {
      resolver: new PluginRegistry(import.meta.dirname),
      allowExperimental: true,
      environment: {
        logger: silentLogger,
        metrics: noMetrics,
        clock,
        stalenessMs: 2000,
        random: () => 0.5,
        endpoints: () => [],
        timersFor: () => ({ ...clock.timers, stopAll: () => {} }),
      },
    },
  );
  // A plugin that this configuration does not put to use is created all the same; the document's kind is left out.
  const errors = problems.filter(
    ({ severity, code }) => severity === "error" && code !== "EPP_CONFIG_MISSING_PRODUCER",
  );
  expect(errors.map(formatProblem)).toEqual([]);
  if (graph !== undefined) expect(graph.plugins.map((plugin) => plugin.type)).toContain(means);
  await graph?.dispose();
});

test("every in-tree type that the Go picker has is in the table", () => {
  // Additions of Pointsman.
  const ours = new Set(["expected-latency-producer", "expected-latency-scorer", "decision-log-recorder"]);
  const inTree = builtinPlugins.flatMap(({ type, aliases }) => [type, ...aliases]).filter((type) => !ours.has(type));
  expect(inTree.filter((type) => !(type in types)).toSorted()).toEqual([]);
});
