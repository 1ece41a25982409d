export { multiclusterKvCacheUtilizationScorer as default } from "./multicluster-kv-cache-utilization-scorer.ts";
