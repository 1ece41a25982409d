import { type AnyPluginDefinition, definePlugin } from "@pointsman/core";
import { httpSource, metricsPageProblem } from "@pointsman/metrics-data-source";
import { type MulticlusterMetricsDataSourceParams, multiclusterMetricsDataSourceParams } from "./params.ts";

/** A picker's page grows with its models and endpoints. */
const maxBodyBytes = 8 * 1024 * 1024;

export const multiclusterMetricsDataSource: AnyPluginDefinition = definePlugin<MulticlusterMetricsDataSourceParams>({
  type: "multicluster-metrics-data-source",
  kind: "source",
  stability: "alpha",
  summary: "Polls the metrics page of the endpoint picker of each cluster.",
  params: multiclusterMetricsDataSourceParams,
  create: (params, host) =>
    httpSource(params, { payload: "prometheus-text", maxBodyBytes, checkPayload: metricsPageProblem }, host),
});
