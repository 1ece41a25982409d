export { prefixCacheAffinityFilter as default } from "./prefix-cache-affinity-filter.ts";
