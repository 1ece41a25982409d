import { type AnyPluginDefinition, definePlugin } from "@pointsman/core";
import { httpSource } from "./http-source.ts";
import { metricsPageProblem } from "./metrics-page-check.ts";
import { type MetricsDataSourceParams, metricsDataSourceParams } from "./params.ts";

/** Pages beyond this are no metrics pages of a model server; one of vLLM has about 32 KiB for each engine. */
const maxBodyBytes = 4 * 1024 * 1024;

export const metricsDataSource: AnyPluginDefinition = definePlugin<MetricsDataSourceParams>({
  type: "metrics-data-source",
  kind: "source",
  stability: "beta",
  summary: "Polls the Prometheus page of each model server.",
  params: metricsDataSourceParams,
  create: (params, host) =>
    httpSource(params, { payload: "prometheus-text", maxBodyBytes, checkPayload: metricsPageProblem }, host),
});
