import { type AttributeKey, type AttributeType, defineAttribute } from "./attribute-key.ts";

const producer = "core-metrics-extractor";
const metric = <T>(dataType: string): AttributeKey<T> =>
  defineAttribute<T>({ dataType, scope: "endpoint", defaultProducer: producer }).from();

/** Requests waiting in the engine's queue. */
export const WAITING_QUEUE_SIZE: AttributeKey<number> = metric("WaitingQueueSize");
/** Requests the engine is computing. */
export const RUNNING_REQUESTS_SIZE: AttributeKey<number> = metric("RunningRequestsSize");
/** Share of the KV cache in use, 0 to 1. */
export const KV_CACHE_USAGE: AttributeKey<number> = metric("KVCacheUsagePercent");
/** Tokens in one KV cache block of the engine. */
export const CACHE_BLOCK_SIZE: AttributeKey<number> = metric("CacheBlockSize");
/** Blocks in the engine's KV cache. */
export const CACHE_NUM_BLOCKS: AttributeKey<number> = metric("CacheNumBlocks");
/** LoRA adapters with a running request. */
export const ACTIVE_MODELS: AttributeKey<ReadonlySet<string>> = metric("ActiveModels");
/** LoRA adapters with a waiting request. */
export const WAITING_MODELS: AttributeKey<ReadonlySet<string>> = metric("WaitingModels");
/** LoRA adapters the engine holds at most. */
export const MAX_ACTIVE_MODELS: AttributeKey<number> = metric("MaxActiveModels");

/** The key of a number that the metrics extractor was configured to read under this name. */
export function customMetric(attributeKey: string, producerName: string = producer): AttributeKey<number> {
  const type: AttributeType<number> = defineAttribute<number>({
    dataType: attributeKey,
    scope: "endpoint",
    defaultProducer: producer,
  });
  return type.from(producerName);
}
