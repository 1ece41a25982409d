import { z } from "zod";

/** Which label holds an endpoint's range, and whether endpoints out of range are dropped. */
export interface ContextLengthAwareParams {
  readonly label: string;
  readonly enableFiltering: boolean;
}

export const contextLengthAwareParams: z.ZodType<ContextLengthAwareParams> = z.strictObject({
  label: z
    .string()
    .min(1)
    .default("llm-d.ai/context-length-range")
    .describe("Label of an endpoint that holds its range of prompt tokens, as `min-max`."),
  enableFiltering: z.boolean().default(false).describe("Also drop endpoints whose range does not hold the prompt."),
});
