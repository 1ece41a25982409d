export { runningRequestsSizeScorer as default } from "./running-requests-size-scorer.ts";
