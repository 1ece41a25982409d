import { type HttpSourceParams, httpSourceFields, intervalMsOf } from "@pointsman/metrics-data-source";
import { z } from "zod";

/** Where the pages of the clusters' pickers are, how they are reached and how often. */
export type MulticlusterMetricsDataSourceParams = HttpSourceParams;

const fields = httpSourceFields({
  scheme: "https",
  path: "/metrics",
  insecureSkipVerify: false,
  interval: "500ms",
});

export const multiclusterMetricsDataSourceParams: z.ZodType<MulticlusterMetricsDataSourceParams> = z
  .strictObject({ ...fields })
  .transform(intervalMsOf);
