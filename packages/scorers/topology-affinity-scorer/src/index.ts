export { topologyAffinityScorer as default } from "./topology-affinity-scorer.ts";
