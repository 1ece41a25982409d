import {
  ACTIVE_MODELS,
  type AttributeKey,
  CACHE_BLOCK_SIZE,
  CACHE_NUM_BLOCKS,
  customMetric,
  KV_CACHE_USAGE,
  MAX_ACTIVE_MODELS,
  RUNNING_REQUESTS_SIZE,
  WAITING_MODELS,
  WAITING_QUEUE_SIZE,
} from "@pointsman/core";
import type { EngineConfig } from "./params.ts";

const builtInKeys: readonly AttributeKey<unknown>[] = [
  WAITING_QUEUE_SIZE,
  RUNNING_REQUESTS_SIZE,
  KV_CACHE_USAGE,
  ACTIVE_MODELS,
  WAITING_MODELS,
  MAX_ACTIVE_MODELS,
  CACHE_BLOCK_SIZE,
  CACHE_NUM_BLOCKS,
];

/** Names that a custom metric cannot have. */
export const builtInDataTypes: ReadonlySet<string> = new Set(builtInKeys.map(({ dataType }) => dataType));

/** The attributes that an engine's page can give a value. */
export function signalsOf(engine: EngineConfig): ReadonlySet<AttributeKey<unknown>> {
  const keys = new Set<AttributeKey<unknown>>();
  if (engine.queuedRequests !== undefined) keys.add(WAITING_QUEUE_SIZE);
  if (engine.runningRequests !== undefined) keys.add(RUNNING_REQUESTS_SIZE);
  if (engine.kvUsage !== undefined) keys.add(KV_CACHE_USAGE);
  if (engine.lora !== undefined) keys.add(ACTIVE_MODELS).add(WAITING_MODELS).add(MAX_ACTIVE_MODELS);
  if (engine.cacheInfo !== undefined || engine.cacheBlockSize !== undefined) keys.add(CACHE_BLOCK_SIZE);
  if (engine.cacheInfo !== undefined || engine.cacheNumBlocks !== undefined) keys.add(CACHE_NUM_BLOCKS);
  for (const { attributeKey } of engine.customMetrics) keys.add(customMetric(attributeKey));
  return keys;
}
