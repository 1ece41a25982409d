export { multiclusterPrefixCacheScorer as default } from "./multicluster-prefix-cache-scorer.ts";
