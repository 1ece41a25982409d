export { kvCacheUtilizationScorer as default } from "./kv-cache-utilization-scorer.ts";
