import { type AnyPluginDefinition, definePlugin } from "@pointsman/core";
import { httpSource, metricsPageProblem } from "@pointsman/metrics-data-source";
import { type DcgmDataSourceParams, dcgmDataSourceParams } from "./params.ts";

/** Some twenty times the page of a node with 16 GPUs. */
const maxBodyBytes = 4 * 1024 * 1024;

export const dcgmDataSource: AnyPluginDefinition = definePlugin<DcgmDataSourceParams>({
  type: "dcgm-data-source",
  kind: "source",
  stability: "alpha",
  summary: "Polls the NVIDIA DCGM exporter of each endpoint.",
  params: dcgmDataSourceParams,
  create: (params, host) =>
    httpSource(params, { payload: "prometheus-text", maxBodyBytes, checkPayload: metricsPageProblem }, host),
});
