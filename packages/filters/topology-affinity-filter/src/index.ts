export { topologyAffinityFilter as default } from "./topology-affinity-filter.ts";
