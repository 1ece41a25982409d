export { prefixCacheScorer as default } from "./prefix-cache-scorer.ts";
