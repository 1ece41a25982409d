export { headerLabelAffinityScorer as default } from "./header-label-affinity-scorer.ts";
