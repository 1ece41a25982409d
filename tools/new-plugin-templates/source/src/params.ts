import { z } from "zod";

/** Where the exporter listens. */
export interface ExampleSourceParams {
  readonly port: number;
  readonly path: string;
}

export const exampleSourceParams: z.ZodType<ExampleSourceParams> = z.strictObject({
  port: z.int().min(1).max(65_535).default(9400).describe("Port of the exporter at the endpoint's address."),
  path: z
    .string()
    .regex(/^\/[\x21-\x7e]*$/, 'must start with "/" and hold printable ASCII characters without blanks')
    .default("/metrics")
    .describe("Path of the page."),
});
