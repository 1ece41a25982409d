import { z } from "zod";

/** Profiles whose targets go into the headers. */
export interface DisaggHeadersHandlerParams {
  readonly prefillProfile: string;
  readonly encodeProfile: string;
}

export const disaggHeadersHandlerParams: z.ZodType<DisaggHeadersHandlerParams> = z.strictObject({
  prefillProfile: z.string().default("prefill").describe("Profile whose first target becomes `x-prefiller-host-port`."),
  encodeProfile: z.string().default("encode").describe("Profile whose targets become `x-encoder-hosts-ports`."),
});
