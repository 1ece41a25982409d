import { parseDurationMs } from "@pointsman/core";
import { z } from "zod";

/** Where the pages of a source are, how they are reached and how often. */
export interface HttpSourceParams {
  readonly scheme: "http" | "https";
  readonly path: string;
  /** Port at the endpoint's address; `undefined`: the endpoint's own metrics address. */
  readonly port?: number | undefined;
  /** Pages are on the node, not on the endpoint; needs `port`. */
  readonly useNodeAddress?: boolean | undefined;
  readonly insecureSkipVerify: boolean;
  /** Paths as given. */
  readonly caCertPath?: string | undefined;
  readonly clientCertPath?: string | undefined;
  readonly clientKeyPath?: string | undefined;
  /** `undefined`: the process's own interval. */
  readonly intervalMs: number | undefined;
}

/** What the fields default to. */
export interface HttpSourceDefaults {
  readonly scheme: "http" | "https";
  readonly path: string;
  readonly insecureSkipVerify: boolean;
  /** Of `interval`; without it the process's own. */
  readonly interval?: string;
}

type Text = z.ZodType<string | undefined, string | undefined>;

/** The fields of {@link httpSourceFields}. */
export interface HttpSourceFields {
  readonly scheme: z.ZodType<"http" | "https", "http" | "https" | undefined>;
  readonly path: z.ZodType<string, string | undefined>;
  readonly port: z.ZodType<number | undefined, number | undefined>;
  readonly insecureSkipVerify: z.ZodType<boolean, boolean | undefined>;
  readonly caCertPath: Text;
  readonly clientCertPath: Text;
  readonly clientKeyPath: Text;
  readonly interval: z.ZodType<number | undefined, string | undefined>;
}

const filePath = z
  .string({ error: "must be the path of a file" })
  .optional()
  // "" is not given.
  .transform((path) => (path === "" ? undefined : path));

const duration = z.string({ error: 'must be a duration such as "500ms"' });

/** Parameters that sources of HTTP pages have in common. */
export function httpSourceFields(defaults: HttpSourceDefaults): HttpSourceFields {
  const interval = defaults.interval === undefined ? duration.optional() : duration.default(defaults.interval);
  return {
    scheme: z.enum(["http", "https"]).default(defaults.scheme).describe("How the pages are fetched."),
    path: z
      .string()
      .regex(/^\/[\x21-\x7e]*$/, 'must start with "/" and hold printable ASCII characters without blanks')
      .default(defaults.path)
      .describe("Path of the page, with a query if there is one."),
    port: z
      .int()
      .min(1)
      .max(65_535)
      .optional()
      .describe("Port of the page at the endpoint's address. Without it the endpoint's own metrics address is used."),
    insecureSkipVerify: z
      .boolean()
      .default(defaults.insecureSkipVerify)
      .describe("For https: accept any server certificate. `caCertPath` has no effect then."),
    caCertPath: filePath.describe("For https: PEM file with the authorities that server certificates must come from."),
    clientCertPath: filePath.describe("For https: PEM file with the client certificate; needs `clientKeyPath`."),
    clientKeyPath: filePath.describe("For https: PEM file with the client certificate's key; needs `clientCertPath`."),
    interval: interval
      .transform((text, context) => {
        if (text === undefined || text === "") return undefined;
        const durationMs = parseDurationMs(text);
        if (durationMs !== undefined && durationMs >= 0) return durationMs === 0 ? undefined : durationMs;
        context.addIssue(`must be a duration such as "500ms" or "2s", not ${JSON.stringify(text.slice(0, 80))}`);
        return z.NEVER;
      })
      .describe("Time between two polls of an endpoint, for instance `500ms`; at least `50ms`."),
  };
}

/** Names the interval by its unit, as {@link HttpSourceParams} does. */
export function intervalMsOf<T extends { readonly interval?: number | undefined }>({
  interval,
  ...rest
}: T): Omit<T, "interval"> & { readonly intervalMs: number | undefined } {
  return { ...rest, intervalMs: interval };
}
