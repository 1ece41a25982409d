import { parseDurationMs } from "@pointsman/core";
import { z } from "zod";

/** Where the metrics pages are, how they are reached and how often. */
export interface MetricsDataSourceParams {
  readonly scheme: "http" | "https";
  readonly path: string;
  readonly port: number | undefined;
  readonly insecureSkipVerify: boolean;
  /** Paths as given; "" is not given. */
  readonly caCertPath: string | undefined;
  readonly clientCertPath: string | undefined;
  readonly clientKeyPath: string | undefined;
  readonly intervalMs: number | undefined;
}

const filePath = z
  .string({ error: "must be the path of a file" })
  .optional()
  .transform((path) => (path === "" ? undefined : path));

export const metricsDataSourceParams: z.ZodType<MetricsDataSourceParams> = z
  .strictObject({
    scheme: z.enum(["http", "https"]).default("http").describe("How the pages are fetched."),
    path: z
      .string()
      .regex(/^\/[\x21-\x7e]*$/, 'must start with "/" and hold printable ASCII characters without blanks')
      .default("/metrics")
      .describe("Path of the page, with a query if there is one."),
    port: z
      .int()
      .min(1)
      .max(65_535)
      .optional()
      .describe("Port of the page at the endpoint's address. Without it the endpoint's own metrics address is used."),
    insecureSkipVerify: z
      .boolean()
      .default(true)
      .describe("For https: accept any server certificate. `caCertPath` has no effect then."),
    caCertPath: filePath.describe("For https: PEM file with the authorities that server certificates must come from."),
    clientCertPath: filePath.describe("For https: PEM file with the client certificate; needs `clientKeyPath`."),
    clientKeyPath: filePath.describe("For https: PEM file with the client certificate's key; needs `clientCertPath`."),
    interval: z
      .string({ error: 'must be a duration such as "500ms"' })
      .optional()
      .transform((text, context) => {
        if (text === undefined || text === "") return undefined;
        const durationMs = parseDurationMs(text);
        if (durationMs !== undefined && durationMs >= 0) return durationMs === 0 ? undefined : durationMs;
        context.addIssue(`must be a duration such as "500ms" or "2s", not ${JSON.stringify(text.slice(0, 80))}`);
        return z.NEVER;
      })
      .describe(
        "Time between two polls of an endpoint, for instance `500ms`; at least `50ms`. Default: `--refresh-metrics-interval`.",
      ),
  })
  .transform(({ interval, port, ...rest }) => ({ ...rest, port, intervalMs: interval }));
