import { z } from "zod";

/** Who says where endpoints are. */
export interface TopologyAffinityScorerParams {
  readonly topologyProducerName: string;
}

export const topologyAffinityScorerParams: z.ZodType<TopologyAffinityScorerParams> = z.strictObject({
  topologyProducerName: z
    .string()
    .default("")
    .describe("Name of the plugin that says where endpoints are; empty is `topology-extractor`."),
});
