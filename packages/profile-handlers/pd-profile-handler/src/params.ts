import { z } from "zod";

/** The two stages, who decides about prefill, and where requests are sent. */
export interface PdProfileHandlerParams {
  readonly decodeProfile: string;
  readonly prefillProfile: string;
  readonly deciderPluginName: string;
  /** Port every request goes to; `undefined`: the decode endpoint's own. */
  readonly primaryPort: number | undefined;
}

const ignored = z.string().optional().describe("Has no effect; accepted for older configurations.");

export const pdProfileHandlerParams: z.ZodType<PdProfileHandlerParams> = z
  .strictObject({
    decodeProfile: z.string().min(1).default("decode").describe("Scheduling profile that chooses the decode endpoint."),
    prefillProfile: z
      .string()
      .min(1)
      .default("prefill")
      .describe("Scheduling profile that chooses the prefill endpoint."),
    deciderPluginName: z
      .string()
      .min(1)
      .default("prefix-based-pd-decider")
      .describe("Plugin that decides whether prefill runs on an endpoint of its own."),
    primaryPort: z
      .int()
      .min(0)
      .max(65535)
      .default(0)
      .describe("Port of the pods' sidecars, which every request goes to; 0 is the decode endpoint's own port."),
    prefixPluginType: ignored,
    prefixPluginName: ignored,
    prefixMatchInfoProducerName: ignored,
  })
  .transform(({ decodeProfile, prefillProfile, deciderPluginName, primaryPort }, context) => {
    if (decodeProfile === prefillProfile) {
      context.addIssue({
        code: "custom",
        message: `the stages need two different profiles, not both ${JSON.stringify(decodeProfile.slice(0, 80))}`,
        path: ["prefillProfile"],
      });
    }
    return {
      decodeProfile,
      prefillProfile,
      deciderPluginName,
      primaryPort: primaryPort === 0 ? undefined : primaryPort,
    };
  });
