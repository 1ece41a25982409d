export { loadAwareScorer as default } from "./load-aware-scorer.ts";
