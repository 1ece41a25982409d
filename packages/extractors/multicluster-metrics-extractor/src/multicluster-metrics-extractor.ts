import {
  type AnyPluginDefinition,
  type AttributeKey,
  definePlugin,
  type EndpointWriter,
  MULTICLUSTER_KV_CACHE_UTILIZATION,
  MULTICLUSTER_QUEUE_SIZE,
} from "@pointsman/core";
import { latestSample, type MetricSpec, MetricsQuery, matchingSamples } from "@pointsman/core/prometheus";
import { type MulticlusterMetricsExtractorParams, multiclusterMetricsExtractorParams } from "./params.ts";

/** One average: where it stands, where it goes, how large it may be. */
interface Signal {
  readonly key: AttributeKey<number>;
  readonly spec: MetricSpec;
  readonly largest: number;
}

function signalsOf({ kvCacheUtilization, queueSize }: MulticlusterMetricsExtractorParams): readonly Signal[] {
  return [
    { key: MULTICLUSTER_KV_CACHE_UTILIZATION, spec: kvCacheUtilization, largest: 1 },
    { key: MULTICLUSTER_QUEUE_SIZE, spec: queueSize, largest: Number.MAX_VALUE },
  ].flatMap(({ spec, ...rest }) => (spec === undefined ? [] : [{ ...rest, spec }]));
}

export const multiclusterMetricsExtractor: AnyPluginDefinition = definePlugin<MulticlusterMetricsExtractorParams>({
  type: "multicluster-metrics-extractor",
  kind: "extractor",
  stability: "alpha",
  summary: "Reads a cluster's average queue and KV cache use from the page of its endpoint picker.",
  params: multiclusterMetricsExtractorParams,
  produces: (params) => signalsOf(params).map(({ key }) => key),
  create(params, host) {
    const signals = signalsOf(params).map((signal): Signal & { readonly writer: EndpointWriter<number> } => ({
      ...signal,
      writer: host.endpointWriter(signal.key),
    }));
    const series = [...new Set(signals.map(({ spec }) => spec.name))];
    const query = new MetricsQuery(series);
    return {
      payload: "prometheus-text",
      series,
      extract(body, endpoint, nowMs) {
        const page = query.scan(body);
        if (page.garbage !== undefined) return page.garbage;
        const problems: string[] = [];
        for (const { spec, largest, writer } of signals) {
          const value = latestSample(matchingSamples(page, spec))?.value;
          const usable = value !== undefined && value >= 0 && value <= largest;
          writer.set(endpoint, usable ? value : undefined, nowMs);
          // NaN is how a picker says that it does not know.
          if (value === undefined) problems.push(`no series ${spec}`);
          else if (!usable && !Number.isNaN(value)) problems.push(`${spec} is ${value}, which cannot be`);
        }
        for (const { line, what } of page.problems) problems.push(`line ${line}: ${what}`);
        return problems.length === 0 ? undefined : problems.join("; ");
      },
    };
  },
});
