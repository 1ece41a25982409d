import { type HttpSourceParams, httpSourceFields, intervalMsOf } from "@pointsman/metrics-data-source";
import { z } from "zod";

/** Where the exporter's pages are, how they are reached and how often. */
export type DcgmDataSourceParams = HttpSourceParams;

const fields = httpSourceFields({ scheme: "http", path: "/metrics", insecureSkipVerify: true, interval: "1s" });

export const dcgmDataSourceParams: z.ZodType<DcgmDataSourceParams> = z
  .strictObject({
    scheme: fields.scheme,
    path: fields.path,
    port: z
      .int()
      .min(0)
      .max(65_535)
      .default(9400)
      .describe("Port of the exporter. 0: the endpoint's own metrics address."),
    useNodeAddress: z
      .boolean()
      .default(false)
      .describe("The exporter runs on the node, not beside the server. Needs a `port`."),
    insecureSkipVerify: fields.insecureSkipVerify,
    interval: fields.interval,
  })
  .refine(({ useNodeAddress, port }) => !useNodeAddress || port !== 0, {
    message: "needs a port: with port 0 the endpoint's own metrics address is polled",
    path: ["useNodeAddress"],
  })
  .transform(({ port, ...rest }) => intervalMsOf({ ...rest, port: port === 0 ? undefined : port }));
