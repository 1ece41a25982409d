export { multiclusterSessionAffinityFilter as default } from "./multicluster-session-affinity-filter.ts";
