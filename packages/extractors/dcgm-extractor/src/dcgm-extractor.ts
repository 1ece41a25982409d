import { type AnyPluginDefinition, definePlugin, type Endpoint, GPU_UTILIZATION } from "@pointsman/core";
import { type MetricSample, MetricsQuery } from "@pointsman/core/prometheus";

const series = "DCGM_FI_DEV_GPU_UTIL";
/** Types under which a figure that goes up and down is stated; a counter would be another quantity. */
const gaugeTypes: ReadonlySet<string | undefined> = new Set(["gauge", "untyped", undefined]);

export const dcgmExtractor: AnyPluginDefinition = definePlugin({
  type: "dcgm-extractor",
  kind: "extractor",
  stability: "alpha",
  summary: "Reads the utilization of an endpoint's busiest GPU from a DCGM exporter.",
  produces: (_params, name) => [GPU_UTILIZATION.from(name)],
  create(_params, host) {
    const writer = host.endpointWriter(GPU_UTILIZATION.from(host.name));
    const query = new MetricsQuery([series]);
    return {
      payload: "prometheus-text",
      series: [series],
      extract(body, endpoint, nowMs) {
        const page = query.scan(body);
        if (page.garbage !== undefined) return page.garbage;
        const family = page.family(series);
        const own = (family?.samples ?? []).filter((sample) => belongsTo(sample, endpoint));
        const read = gaugeTypes.has(family?.type)
          ? busiest(own, endpoint)
          : `${series} is a ${family?.type}, not a gauge`;
        writer.set(endpoint, typeof read === "number" ? read : undefined, nowMs);
        return typeof read === "number" ? undefined : read;
      },
    };
  },
});

/** An exporter on the node states the pod of each GPU; one beside the server states none. */
function belongsTo(sample: MetricSample, { metadata }: Endpoint): boolean {
  const pod = sample.label("pod");
  if (pod === undefined || pod === "") return true;
  if (pod !== metadata.name) return false;
  const namespace = sample.label("namespace");
  return namespace === undefined || namespace === "" || namespace === metadata.namespace;
}

/** The largest share, or what is wrong. */
function busiest(samples: readonly MetricSample[], { metadata }: Endpoint): number | string {
  if (samples.length === 0) return `no series ${series} without a pod or of the pod ${metadata.name}`;
  let largest = 0;
  for (const { value } of samples) {
    if (!(value >= 0 && value <= 100)) return `${series} is ${value}, not a percentage`;
    largest = Math.max(largest, value);
  }
  return largest / 100;
}
