import { type AttributeKey, defineAttribute } from "./attribute-key.ts";

const clusterMetric = (dataType: string): AttributeKey<number> =>
  defineAttribute<number>({ dataType, scope: "endpoint", defaultProducer: "" }).from();

/** Requests waiting in a cluster, mean over its model servers; of an endpoint that stands for a cluster. */
export const MULTICLUSTER_QUEUE_SIZE: AttributeKey<number> = clusterMetric("llm-d.ai/multicluster-queue-size");
/** Share of the KV cache in use, 0 to 1, mean over a cluster's model servers; of an endpoint that stands for a cluster. */
export const MULTICLUSTER_KV_CACHE_UTILIZATION: AttributeKey<number> = clusterMetric(
  "llm-d.ai/multicluster-kv-cache-utilization",
);
