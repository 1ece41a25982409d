import { z } from "zod";

/** Where the answer names the endpoint. */
export interface ExampleResponseProcessorParams {
  /** In lower case. */
  readonly headerName: string;
}

export const exampleResponseProcessorParams: z.ZodType<ExampleResponseProcessorParams> = z.strictObject({
  headerName: z
    .string()
    .regex(/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/, "must be the name of a header")
    .toLowerCase()
    .default("x-picked-endpoint")
    .describe("Header of the answer that is set."),
});
