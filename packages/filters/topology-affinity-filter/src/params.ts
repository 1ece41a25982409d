import type { TopologyLevel } from "@pointsman/core";
import { z } from "zod";

/** How near an endpoint must be, and who says where endpoints are. */
export interface TopologyAffinityFilterParams {
  readonly minAffinity: TopologyLevel;
  readonly topologyProducerName: string;
}

export const topologyAffinityFilterParams: z.ZodType<TopologyAffinityFilterParams> = z.strictObject({
  minAffinity: z
    .enum(["host", "rack", "zone", "region"])
    .default("host")
    .describe("Widest unit that an endpoint must share with the chosen one."),
  topologyProducerName: z
    .string()
    .default("")
    .describe("Name of the plugin that says where endpoints are; empty is `topology-extractor`."),
});
