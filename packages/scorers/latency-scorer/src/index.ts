export { latencyScorer as default } from "./latency-scorer.ts";
