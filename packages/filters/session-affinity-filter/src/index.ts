export { sessionAffinityFilter as default } from "./session-affinity-filter.ts";
