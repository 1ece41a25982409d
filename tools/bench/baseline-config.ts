/**
 * The plugins of llm-d's optimized baseline: queue 2, KV cache 2, prefix 3 over prompts of up to 100,000 tokens, and
 * no-hit-lru 2. `more` adds scorers with weight 1.
 */
export function baselineConfig(options: {
  readonly endpointsFile?: string;
  readonly more?: readonly string[];
}): string {
  const { endpointsFile, more = [] } = options;
  return `apiVersion: llm-d.ai/v1alpha1
kind: EndpointPickerConfig
plugins:
  - type: queue-scorer
  - type: kv-cache-utilization-scorer
  - type: approx-prefix-cache-producer
    parameters: {maxPrefixTokensToMatch: 100000}
  - type: prefix-cache-scorer
  - type: no-hit-lru-scorer
${more.map((type) => `  - type: ${type}\n`).join("")}${
  endpointsFile === undefined
    ? ""
    : `  - type: file-discovery
    parameters: {path: ${JSON.stringify(endpointsFile)}}
`
}schedulingProfiles:
  - name: default
    plugins:
      - {pluginRef: queue-scorer, weight: 2}
      - {pluginRef: kv-cache-utilization-scorer, weight: 2}
      - {pluginRef: prefix-cache-scorer, weight: 3}
      - {pluginRef: no-hit-lru-scorer, weight: 2}
${more.map((type) => `      - {pluginRef: ${type}, weight: 1}\n`).join("")}${
  endpointsFile === undefined
    ? ""
    : `dataLayer:
  discovery: {pluginRef: file-discovery}
`
}`;
}
