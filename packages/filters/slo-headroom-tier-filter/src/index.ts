export { sloHeadroomTierFilter as default } from "./slo-headroom-tier-filter.ts";
