import { z } from "zod";

/** Which headers are looked at beside the usual ones. */
export interface AgentIdentityParams {
  /** In lower case, in the order in which they are tried. */
  readonly additionalSessionHeaders: readonly string[];
}

export const agentIdentityParams: z.ZodType<AgentIdentityParams> = z.strictObject({
  additionalSessionHeaders: z
    .array(
      z
        .string()
        .regex(/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/, "must be the name of a header")
        .toLowerCase(),
    )
    .max(100)
    .default([])
    .describe("Headers that are tried before the usual ones, in this order; upper and lower case are the same."),
});
