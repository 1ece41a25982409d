import { z } from "zod";

/** Whose prefix matches count, and from which difference on a source is named. */
export interface P2pSourceParams {
  readonly prefixMatchInfoProducerName: string;
  readonly minCachedTokenDelta: number;
  readonly prefillProfileName: string;
}

export const usualPrefillProfile = "prefill";

export const p2pSourceParams: z.ZodType<P2pSourceParams> = z.strictObject({
  prefixMatchInfoProducerName: z
    .string()
    .default("")
    .describe("Name of the producer of prefix matches; empty is `approx-prefix-cache-producer`."),
  minCachedTokenDelta: z
    .int()
    .min(1)
    .default(1)
    .describe("Tokens that the source must hold beyond the endpoint that computes the prompt."),
  prefillProfileName: z
    .string()
    .default(usualPrefillProfile)
    .transform((name) => (name === "" ? usualPrefillProfile : name))
    .describe("Profile whose first target computes the prompt; `prefill` is the one the profile handler names."),
});
