import { type MetricSpec, MetricSpecError, parseMetricSpec } from "@pointsman/core/prometheus";
import { z } from "zod";

/** Which series hold a cluster's averages; `undefined`: the signal is not read. */
export interface MulticlusterMetricsExtractorParams {
  readonly kvCacheUtilization: MetricSpec | undefined;
  readonly queueSize: MetricSpec | undefined;
}

const spec = (byDefault: string): z.ZodType<MetricSpec | undefined, string | undefined> =>
  z
    .string({ error: "must be a metric such as name or name{label=value}" })
    .default(byDefault)
    .transform((text, context) => {
      const parsed = parseMetricSpec(text);
      if (!(parsed instanceof MetricSpecError)) return parsed;
      context.addIssue(parsed.message);
      return z.NEVER;
    });

export const multiclusterMetricsExtractorParams: z.ZodType<MulticlusterMetricsExtractorParams> = z
  .strictObject({
    kvCacheUtilizationMetric: spec("llm_d_epp_average_kv_cache_utilization").describe(
      "Series with the mean share of the KV cache in use, 0 to 1. Empty: the signal is not read.",
    ),
    queueSizeMetric: spec("llm_d_epp_average_queue_size").describe(
      "Series with the mean number of waiting requests. Empty: the signal is not read.",
    ),
  })
  .transform(({ kvCacheUtilizationMetric, queueSizeMetric }) => ({
    kvCacheUtilization: kvCacheUtilizationMetric,
    queueSize: queueSizeMetric,
  }));
