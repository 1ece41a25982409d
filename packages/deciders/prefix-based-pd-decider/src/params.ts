import { z } from "zod";

/** From how many tokens on a prompt is worth a prefill endpoint. */
export interface PrefixBasedPdDeciderParams {
  /** Tokens not cached on the decode endpoint; 0: never disaggregate. */
  readonly nonCachedTokens: number;
  /** Tokens of the whole prompt; 0: any length. */
  readonly promptTokens: number;
  readonly prefixMatchInfoProducerName: string;
}

export const prefixBasedPdDeciderParams: z.ZodType<PrefixBasedPdDeciderParams> = z.strictObject({
  nonCachedTokens: z
    .int()
    .min(0)
    .default(0)
    .describe("Prompt tokens not cached on the decode endpoint from which it says yes; 0 says no to every request."),
  promptTokens: z
    .int()
    .min(0)
    .default(0)
    .describe("Prompt tokens, cached or not, below which it says no; 0 is no such limit."),
  prefixMatchInfoProducerName: z
    .string()
    .default("")
    .describe("Name of the producer of the matches; empty is `approx-prefix-cache-producer`."),
});
