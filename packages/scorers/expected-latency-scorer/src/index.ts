export { expectedLatencyScorer as default } from "./expected-latency-scorer.ts";
