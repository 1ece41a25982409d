import { z } from "zod";
import { type HttpSourceParams, httpSourceFields, intervalMsOf } from "./http-source-params.ts";

/** Where the metrics pages are, how they are reached and how often. */
export type MetricsDataSourceParams = HttpSourceParams;

const fields = httpSourceFields({ scheme: "http", path: "/metrics", insecureSkipVerify: true });

export const metricsDataSourceParams: z.ZodType<MetricsDataSourceParams> = z
  .strictObject({
    ...fields,
    interval: fields.interval.describe(
      "Time between two polls of an endpoint, for instance `500ms`; at least `50ms`. Default: `--refresh-metrics-interval`.",
    ),
  })
  .transform(intervalMsOf);
