export { utilizationFilter as default } from "./utilization-filter.ts";
