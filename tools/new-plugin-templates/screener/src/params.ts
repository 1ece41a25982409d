import { z } from "zod";

/** Where a request and an endpoint say their zone. */
export interface ExampleScreenerParams {
  /** In lower case. */
  readonly headerName: string;
  readonly labelKey: string;
}

export const exampleScreenerParams: z.ZodType<ExampleScreenerParams> = z.strictObject({
  headerName: z
    .string()
    .min(1)
    .toLowerCase()
    .default("x-zone")
    .describe("Header with the wanted zone; upper and lower case are the same."),
  labelKey: z
    .string()
    .min(1)
    .default("topology.kubernetes.io/zone")
    .describe("Label of an endpoint that holds its zone."),
});
