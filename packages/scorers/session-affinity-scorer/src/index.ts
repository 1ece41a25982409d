export { sessionAffinityScorer as default } from "./session-affinity-scorer.ts";
