import { z } from "zod";

/** The header and the label that are compared. */
export interface HeaderLabelAffinityParams {
  /** In lower case. */
  readonly headerName: string;
  readonly labelKey: string;
}

export const headerLabelAffinityParams: z.ZodType<HeaderLabelAffinityParams> = z.strictObject({
  headerName: z
    .string()
    .regex(/^:?[!#$%&'*+.^_`|~0-9A-Za-z-]+$/, "must be the name of a header")
    .toLowerCase()
    .describe("Request header that names the wanted value; upper and lower case are the same."),
  labelKey: z.string().min(1).describe("Label of an endpoint that is compared with the header."),
});
