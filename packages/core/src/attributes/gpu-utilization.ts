import { type AttributeType, defineAttribute } from "./attribute-key.ts";

/** Utilization of an endpoint's busiest GPU, 0 to 1. */
export const GPU_UTILIZATION: AttributeType<number> = defineAttribute({
  dataType: "GPUUtilization",
  scope: "endpoint",
  defaultProducer: "dcgm-extractor",
});
